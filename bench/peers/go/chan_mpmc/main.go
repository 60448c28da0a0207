// chan_mpmc: see bench/workloads/chan_mpmc.c.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	producers = 4
	consumers = 4
	capacity  = 128
	items     = 8_000_000
	warmUp    = 8000
)

func produce(c chan int64, from, n int64, wg *sync.WaitGroup) {
	for i := int64(0); i < n; i++ {
		c <- from + i
	}
	wg.Done()
}

func consume(c chan int64, sum *int64, wg *sync.WaitGroup) {
	s := int64(0)
	for v := range c {
		s += v
	}
	*sum = s
	wg.Done()
}

func pass(n int64) {
	c := make(chan int64, capacity)
	each := n / producers
	var sums [consumers]int64
	var sending, receiving sync.WaitGroup
	sending.Add(producers)
	receiving.Add(consumers)
	for i := range sums {
		go consume(c, &sums[i], &receiving)
	}
	for i := int64(0); i < producers; i++ {
		go produce(c, i*each, each, &sending)
	}
	sending.Wait()
	close(c)
	receiving.Wait()
	sum := int64(0)
	for _, v := range sums {
		sum += v
	}
	span.Must(sum == n*(n-1)/2, "the items do not add up")
}

func main() {
	pass(warmUp)
	s := span.Begin()
	pass(items)
	s.End()
	s.Print("", items, items, time.Nanosecond, "ns")
}
