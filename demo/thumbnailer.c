/* SPDX-License-Identifier: Apache-2.0 */
/* Makes thumbnails: decodes, shrinks and encodes pictures. */
#include <string.h>

#include "demo.h"

#define SIDE  256
#define SMALL 64

struct picture {
	float coefficient[SIDE][8];
	uint8_t pixel[SIDE][SIDE];
	uint8_t small[SMALL][SMALL];
	uint8_t encoded[SMALL * SMALL];
};

DEMO_FUNCTION void inverse_dct(const float in[8], uint8_t *out, unsigned int x)
{
	static const float basis[8] = {1.f, .98f, .92f, .83f, .71f, .56f, .38f, .2f};

	demo_frame();
	for (unsigned int i = 0; i < 8; i++) {
		float sum = 128;

		for (unsigned int k = 0; k < 8; k++)
			sum += in[k] * basis[(i * (k + 1) + x) & 7];
		out[i] = sum < 0 ? 0 : sum > 255 ? 255 : (uint8_t)sum;
	}
}

DEMO_FUNCTION void decode_picture(struct picture *p, uint64_t *random)
{
	for (unsigned int y = 0; y < SIDE; y++) {
		for (unsigned int k = 0; k < 8; k++)
			p->coefficient[y][k] = (float)(demo_random(random) % 64) - 32;
		for (unsigned int x = 0; x < SIDE; x += 8)
			inverse_dct(p->coefficient[y], &p->pixel[y][x], x / 8);
	}
}

DEMO_FUNCTION void resize_picture(struct picture *p)
{
	const unsigned int step = SIDE / SMALL;

	demo_frame();
	for (unsigned int y = 0; y < SMALL; y++) {
		for (unsigned int x = 0; x < SMALL; x++) {
			unsigned int sum = 0;

			for (unsigned int i = 0; i < step * step; i++)
				sum += p->pixel[y * step + i / step][x * step + i % step];
			p->small[y][x] = (uint8_t)(sum / (step * step));
		}
	}
}

DEMO_FUNCTION void entropy_encode(struct picture *p)
{
	uint32_t state = 1;
	size_t n = 0;

	demo_frame();
	for (unsigned int y = 0; y < SMALL; y++) {
		for (unsigned int x = 0; x < SMALL; x++) {
			for (unsigned int bit = 0; bit < 8; bit++)
				state = state * 33 + ((p->small[y][x] >> bit) & 1);
			p->encoded[n++] = (uint8_t)(state >> 13);
		}
	}
}

static void make_thumbnail(uint64_t *random)
{
	static __thread struct picture p;

	decode_picture(&p, random);
	resize_picture(&p);
	entropy_encode(&p);
	demo_keep(p.encoded[0]);
}

int main(void)
{
	static const struct demo_worker workers[] = {{"render", 0.08, make_thumbnail}};

	return demo_serve(workers, 1);
}
