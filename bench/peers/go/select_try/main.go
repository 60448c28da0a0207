// select_try: see bench/workloads/select_try.c.
package main

import (
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	tries  = 30_000_000
	warmUp = 1000
)

func tryOften(n int, a, b chan int64) {
	for i := 0; i < n; i++ {
		select {
		case <-a:
			span.Must(false, "there is something")
		case <-b:
			span.Must(false, "there is something")
		default:
		}
	}
}

func main() {
	a, b := make(chan int64), make(chan int64, 1)
	tryOften(warmUp, a, b)
	s := span.Begin()
	tryOften(tries, a, b)
	s.End()
	s.Print("", tries, tries, time.Nanosecond, "ns")
}
