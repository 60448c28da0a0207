// idle: see bench/workloads/idle.c.
package main

import (
	"os"
	"sync"

	"leat.bench/peers/go/internal/span"
)

const waiters = 1000

func main() {
	var begin, end sync.WaitGroup
	begin.Add(1)
	end.Add(waiters)
	for i := 0; i < waiters; i++ {
		go func() {
			begin.Wait()
			end.Done()
		}()
	}
	var c [1]byte
	n, _ := os.Stdin.Read(c[:])
	span.Must(n == 0, "read")
	begin.Done()
	end.Wait()
}
