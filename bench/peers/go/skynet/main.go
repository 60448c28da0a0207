// skynet: see bench/workloads/skynet.c.
package main

import (
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	leaves   = 1_000_000
	children = 10
	nodes    = 1_111_111
)

func skynet(up chan int64, number, size int64) {
	if size == 1 {
		up <- number
		return
	}
	c := make(chan int64)
	sum := int64(0)
	for i := int64(0); i < children; i++ {
		go skynet(c, number+i*(size/children), size/children)
	}
	for i := 0; i < children; i++ {
		sum += <-c
	}
	up <- sum
}

func pass() {
	c := make(chan int64)
	go skynet(c, 0, leaves)
	span.Must(<-c == int64(leaves)*(leaves-1)/2, "the leaves do not add up")
}

func main() {
	s := span.Begin()
	pass()
	s.End()
	s.Print("", 1, nodes, time.Millisecond, "ms")
}
