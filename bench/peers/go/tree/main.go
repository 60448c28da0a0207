// tree: see bench/workloads/tree.c; the tree is the same, node by node.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	seed         = 101003
	rootChildren = 2000
	children     = 8
	steps        = 20
	chance       = 0x1fbe76c8b4395800 // 0.124 of 2^64
	nodes        = 265305
)

func work(state uint64) uint64 {
	for i := 0; i < steps; i++ {
		state = span.Splitmix(state)
	}
	return state
}

func node(state uint64, count *uint32, done *sync.WaitGroup) {
	result := work(state)
	sum := uint32(1)
	if result < chance {
		var counts [children]uint32
		var wg sync.WaitGroup
		wg.Add(children)
		for i := range counts {
			go node(result+uint64(i), &counts[i], &wg)
		}
		wg.Wait()
		for _, c := range counts {
			sum += c
		}
	}
	*count = sum
	done.Done()
}

func root(count *uint32, done *sync.WaitGroup) {
	var counts [rootChildren]uint32
	var wg sync.WaitGroup
	wg.Add(rootChildren)
	for i := range counts {
		go node(seed+uint64(i), &counts[i], &wg)
	}
	wg.Wait()
	sum := uint32(1)
	for _, c := range counts {
		sum += c
	}
	*count = sum
	done.Done()
}

func walk(state uint64) uint32 {
	result := work(state)
	sum := uint32(1)
	if result < chance {
		for i := uint64(0); i < children; i++ {
			sum += walk(result + i)
		}
	}
	return sum
}

func walkAll() uint32 {
	sum := uint32(1)
	for i := uint64(0); i < rootChildren; i++ {
		sum += walk(seed + i)
	}
	return sum
}

func main() {
	var wg sync.WaitGroup
	var count uint32
	s := span.Begin()
	wg.Add(1)
	go root(&count, &wg)
	wg.Wait()
	s.End()
	span.Must(count == nodes, "the tree has the wrong size")
	s.Print("", 1, nodes, time.Millisecond, "ms")

	s = span.Begin()
	count = walkAll()
	s.End()
	span.Must(count == nodes, "the tree has the wrong size")
	span.Line("sequential", float64(s.Wall)/float64(time.Millisecond), "ms")
}
