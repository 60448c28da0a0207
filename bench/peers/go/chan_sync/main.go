// chan_sync: see bench/workloads/chan_sync.c.
package main

import (
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	rounds = 3_000_000
	warmUp = 1000
)

func answer(there, back chan int64) {
	for v := range there {
		back <- v + 1
	}
	close(back)
}

func ask(n int64, there, back chan int64) {
	for i := int64(0); i < n; i++ {
		there <- i
		span.Must(<-back == i+1, "a wrong answer")
	}
}

func main() {
	there, back := make(chan int64), make(chan int64)
	go answer(there, back)
	ask(warmUp, there, back)
	s := span.Begin()
	ask(rounds, there, back)
	s.End()
	close(there)
	_, open := <-back
	span.Must(!open, "the other side has not closed")
	s.Print("", rounds, rounds, time.Nanosecond, "ns")
}
