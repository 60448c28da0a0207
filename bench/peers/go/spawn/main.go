// spawn: see bench/workloads/spawn.c.
package main

import (
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	batches = 1000
	batch   = 1000
)

func nothing(wg *sync.WaitGroup) {
	wg.Done()
}

func main() {
	s := span.Begin()
	for b := 0; b < batches; b++ {
		var wg sync.WaitGroup
		wg.Add(batch)
		for i := 0; i < batch; i++ {
			go nothing(&wg)
		}
		wg.Wait()
	}
	s.End()
	s.Print("", batches*batch, batches*batch, time.Nanosecond, "ns")
}
