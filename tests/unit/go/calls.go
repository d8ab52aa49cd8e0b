// SPDX-License-Identifier: Apache-2.0

// Go that calls C that calls Go, on a goroutine's stack that moves meanwhile. It ends when its input
// does.
package main

/*
#include <stdint.h>

void goBack(int depth);

static uint64_t spin(int n)
{
	volatile uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += (uint64_t)i;
	return sum;
}

static void callBack(int depth)
{
	spin(1000);
	goBack(depth);
	spin(1000);
}
*/
import "C"

import "os"

var sum int

//go:noinline
func descend(n int) int {
	var room [512]byte

	room[n%len(room)] = byte(n)
	if n == 0 {
		return 0
	}
	return descend(n-1) + int(room[n%len(room)])
}

//go:noinline
func innermost() {
	for i := 0; i < 20000; i++ {
		sum += i & sum
	}
}

//export goBack
func goBack(depth C.int) {
	sum += descend(60)
	innermost()
	if depth > 0 {
		C.callBack(depth - 1)
	}
}

//go:noinline
func outermost() {
	C.callBack(2)
	C.spin(20000)
}

func main() {
	for i := 0; i < 2; i++ {
		go func() {
			for {
				done := make(chan bool)
				go func() { outermost(); done <- true }()
				<-done
			}
		}()
	}
	os.Stdout.WriteString("ready\n")
	os.Stdin.Read(make([]byte, 1))
}
