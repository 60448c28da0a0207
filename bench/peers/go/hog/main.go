// hog: see bench/workloads/hog.c.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"leat.bench/peers/go/internal/ticker"
)

var over atomic.Bool

func hog(wg *sync.WaitGroup) {
	for !over.Load() {
	}
	wg.Done()
}

func main() {
	var wg sync.WaitGroup
	var t ticker.Ticker
	nr := runtime.GOMAXPROCS(0)
	wg.Add(nr)
	for i := 0; i < nr; i++ {
		go hog(&wg)
	}
	t.Run(200 * time.Millisecond)
	over.Store(true)
	wg.Wait()
	t.Print(20 * time.Millisecond)
}
