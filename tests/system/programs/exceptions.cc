/* SPDX-License-Identifier: Apache-2.0 */
/* Throws through many frames, catches, rethrows and runs destructors on the way; between that it does
 * other work for so many turns:  exceptions TURNS
 *
 * While libgcc installs a handler's registers, a twentieth of the time that throwing takes, it
 * overwrites those that its callers' frames have saved, and unwind information leads astray. */
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#define KEEP __attribute__((noinline))

static volatile unsigned long sink;

struct Guard {
	std::string name;
	explicit Guard(int depth)
	    : name("a guard whose name is on the heap, at depth " + std::to_string(depth))
	{
	}
	KEEP ~Guard()
	{
		sink = sink + name.size();
	}
};

struct Node {
	virtual ~Node() = default;
	virtual unsigned long visit(int depth) = 0;
};

struct Leaf : Node {
	KEEP unsigned long visit(int depth) override
	{
		if (depth % 3 == 0)
			throw std::runtime_error("leaf at " + std::to_string(depth));
		std::vector<unsigned long> v(64 + depth);
		std::iota(v.begin(), v.end(), depth);
		return std::accumulate(v.begin(), v.end(), 0UL);
	}
};

struct Inner : Node {
	std::unique_ptr<Node> child;
	explicit Inner(std::unique_ptr<Node> c) : child(std::move(c))
	{
	}
	KEEP unsigned long visit(int depth) override
	{
		Guard guard(depth);
		try {
			return child->visit(depth + 1) + 1;
		} catch (const std::logic_error &e) {
			return sink;
		} catch (const std::runtime_error &e) {
			if (depth % 5)
				throw;
			throw std::logic_error(std::string("from ") + e.what());
		}
	}
};

KEEP static void compute(std::map<std::string, int> &seen, int turns)
{
	for (int turn = 0; turn < turns; turn++) {
		for (auto &[text, n] : seen)
			n += static_cast<int>(text.find("depth") ^ text.size());
		std::vector<unsigned long> v(2000, turn);
		std::partial_sum(v.begin(), v.end(), v.begin());
		sink = sink + v.back();
	}
}

KEEP static void round_of(Node &tree, std::map<std::string, int> &seen, int n)
{
	for (int start = 0; start < 30; start++) {
		try {
			sink = sink + tree.visit(start);
		} catch (const std::exception &e) {
			seen[e.what()] += n;
		}
	}
}

int main(int argc, char **argv)
{
	const int turns = argc > 1 ? atoi(argv[1]) : 0;
	std::unique_ptr<Node> tree = std::make_unique<Leaf>();
	std::map<std::string, int> seen;

	for (int i = 0; i < 12; i++)
		tree = std::make_unique<Inner>(std::move(tree));
	for (int n = 0;; n++) {
		round_of(*tree, seen, n);
		compute(seen, turns);
	}
}
