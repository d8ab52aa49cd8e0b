// SPDX-License-Identifier: Apache-2.0

// Goroutines that talk, allocate, sort and encode, so that the garbage collector and the scheduler
// run too.
package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

type entry struct {
	Name  string   `json:"name"`
	Count int      `json:"count"`
	Tags  []string `json:"tags"`
}

//go:noinline
func fibonacci(n int) int {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

//go:noinline
func encode(n int) int {
	entries := make([]entry, 0, 200)
	for i := 0; i < 200; i++ {
		entries = append(entries, entry{fmt.Sprintf("name-%d", i*n%97), i, strings.Fields("a b c d")})
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name < entries[j].Name })
	data, err := json.Marshal(entries)
	if err != nil {
		panic(err)
	}
	var back []entry
	if err := json.Unmarshal(data, &back); err != nil {
		panic(err)
	}
	return len(back)
}

func main() {
	work, done := make(chan int), make(chan int, 4)
	for i := 0; i < 4; i++ {
		go func() {
			for n := range work {
				done <- encode(n) + fibonacci(18)
			}
		}()
	}
	go func() {
		for n := 0; ; n++ {
			work <- n
		}
	}()
	for range done {
	}
}
