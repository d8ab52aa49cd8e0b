// SPDX-License-Identifier: Apache-2.0

// A program on the move between its stacks: goroutines that switch, grow, collect garbage, call the
// kernel and its vDSO, and are interrupted by signals. It ends when its input does.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

var sink []byte
var sum int

func mixed(n int) int {
	return n ^ n>>3
}

//go:noinline
func descend(n int) int {
	var room [512]byte

	room[n%len(room)] = byte(n)
	if n == 0 {
		return 0
	}
	return mixed(descend(n-1) + int(room[n%len(room)]))
}

func grow() {
	for {
		done := make(chan int)
		go func() { done <- descend(100) }()
		sum += <-done
	}
}

func collect() {
	for i := 0; ; i++ {
		sink = make([]byte, 1000+i%9000)
		if i%10000 == 0 {
			runtime.GC()
		}
	}
}

func exchange() {
	there, back := make(chan int), make(chan int)
	go func() {
		for {
			back <- 1 + <-there
		}
	}()
	for i := 0; ; i++ {
		there <- i
		sum += <-back
	}
}

func call() {
	null, _ := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	for {
		null.Write([]byte("x"))
		sum += time.Now().Nanosecond()
	}
}

func interrupt() {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	for {
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		<-got
	}
}

func main() {
	runtime.GOMAXPROCS(2)
	for _, f := range []func(){grow, collect, exchange, call, interrupt} {
		go f()
	}
	os.Stdout.WriteString("ready\n")
	os.Stdin.Read(make([]byte, 1))
}
