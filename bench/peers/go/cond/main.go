// cond: see bench/workloads/cond.c.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const rounds = 1_000_000

type shared struct {
	mutex   sync.Mutex
	changed [2]*sync.Cond
	turn    int
	count   int
}

func player(me int, s *shared, wg *sync.WaitGroup) {
	s.mutex.Lock()
	for i := 0; i < rounds; i++ {
		for s.turn != me {
			s.changed[me].Wait()
		}
		s.count++
		s.turn = 1 - me
		s.changed[1-me].Signal()
	}
	s.mutex.Unlock()
	wg.Done()
}

func main() {
	s := &shared{}
	for i := range s.changed {
		s.changed[i] = sync.NewCond(&s.mutex)
	}
	var wg sync.WaitGroup
	t := span.Begin()
	wg.Add(2)
	for i := 0; i < 2; i++ {
		go player(i, s, &wg)
	}
	wg.Wait()
	t.End()
	span.Must(s.count == 2*rounds, "count")
	t.Print("", rounds, rounds, time.Nanosecond, "ns")
}
