// SPDX-License-Identifier: Apache-2.0

// Go in a shared library, for a program of C's (host.c).
package main

import "C"

import (
	"os"
	"runtime"
)

var sink []byte

//go:noinline
func descend(n int) int {
	var room [512]byte

	room[n%len(room)] = byte(n)
	if n == 0 {
		return 0
	}
	return descend(n-1) + int(room[n%len(room)])
}

//export run
func run() {
	os.Stdout.WriteString("ready\n")
	for i := 0; ; i++ {
		sink = make([]byte, 1000+i%9000)
		done := make(chan int)
		go func() { done <- descend(100) }()
		<-done
		if i%1000 == 0 {
			runtime.GC()
		}
	}
}

func main() {}
