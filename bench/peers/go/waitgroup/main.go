// waitgroup: see bench/workloads/waitgroup.c.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	counts = 10_000_000
	rounds = 1_000_000
)

func counter(times int, count, end *sync.WaitGroup) {
	for i := 0; i < times; i++ {
		count.Add(1)
		count.Done()
	}
	end.Done()
}

func ping(ping, pong, end *sync.WaitGroup) {
	for i := 0; i < rounds; i++ {
		ping.Done()
		pong.Wait()
		pong.Add(1)
	}
	end.Done()
}

func pong(ping, pong, end *sync.WaitGroup) {
	for i := 0; i < rounds; i++ {
		ping.Wait()
		ping.Add(1)
		pong.Done()
	}
	end.Done()
}

func main() {
	n := span.Arg(100)
	var a, b, end sync.WaitGroup
	ops := rounds
	t := span.Begin()
	if n == 2 {
		a.Add(1)
		b.Add(1)
		end.Add(2)
		go ping(&a, &b, &end)
		go pong(&a, &b, &end)
	} else {
		ops = counts / n * n
		a.Add(1)
		end.Add(n)
		for i := 0; i < n; i++ {
			go counter(counts/n, &a, &end)
		}
	}
	end.Wait()
	t.End()
	t.Print("", float64(ops), float64(ops), time.Nanosecond, "ns")
}
