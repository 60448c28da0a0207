// cancel: see bench/workloads/cancel.c. A goroutine waits for a channel or for its context.
package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"leat.bench/peers/go/internal/span"
)

func main() {
	n := span.Arg(100_000)
	ctx, cancel := context.WithCancel(context.Background())
	never := make(chan struct{})
	var cancelled atomic.Int64
	var waiting, ended sync.WaitGroup

	waiting.Add(n)
	ended.Add(n)
	start := span.Begin()
	for i := 0; i < n; i++ {
		go func() {
			waiting.Done()
			select {
			case <-never:
			case <-ctx.Done():
				cancelled.Add(1)
			}
			ended.Done()
		}()
	}
	waiting.Wait()
	start.End()
	time.Sleep(20 * time.Millisecond)
	s := span.Begin()
	cancel()
	ended.Wait()
	s.End()
	span.Must(cancelled.Load() == int64(n), "every one is cancelled")
	s.Print("", 1, float64(n), time.Millisecond, "ms")
	span.Line("start", float64(start.Wall)/float64(time.Millisecond), "ms")
}
