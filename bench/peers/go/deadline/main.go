// deadline: see bench/workloads/deadline.c. A wait with a deadline is a select with a timer: one that was made before, or that is set anew each time.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const rounds = 1_000_000

func takeTurns(mine, other chan struct{}, kind string, wg *sync.WaitGroup) {
	timer := time.NewTimer(1000 * time.Second)
	defer timer.Stop()
	for i := 0; i < rounds; i++ {
		switch kind {
		case "forever":
			<-mine
		case "after":
			timer.Reset(1000 * time.Second)
			fallthrough
		default:
			select {
			case <-mine:
			case <-timer.C:
				span.Must(false, "timer")
			}
		}
		other <- struct{}{}
	}
	wg.Done()
}

func pass(kind string) float64 {
	a, b := make(chan struct{}, 1), make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Add(2)
	a <- struct{}{}
	s := span.Begin()
	go takeTurns(a, b, kind, &wg)
	go takeTurns(b, a, kind, &wg)
	wg.Wait()
	s.End()
	return float64(s.Wall) / (2 * rounds)
}

func main() {
	pass("forever")
	for _, kind := range []string{"forever", "fixed", "after"} {
		span.Line(kind, pass(kind), "ns")
	}
	s := span.Begin()
	for i := 0; i < rounds; i++ {
		sink = time.Now()
	}
	s.End()
	span.Line("clock", float64(s.Wall)/rounds, "ns")
}

var sink time.Time
