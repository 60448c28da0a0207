// block: see bench/workloads/block.c. Go's system calls are always announced, so both arguments mean the same.
package main

import (
	"sync"
	"syscall"
	"time"

	"leat.bench/peers/go/internal/span"
	"leat.bench/peers/go/internal/ticker"
)

const readers = 4

func reader(fd int, wg *sync.WaitGroup) {
	var c [1]byte
	n, err := syscall.Read(fd, c[:])
	span.Must(n == 1 && err == nil, "read")
	wg.Done()
}

func main() {
	var wg sync.WaitGroup
	var t ticker.Ticker
	var fd [2]int
	span.Must(span.Arg(1) <= 2, "1 or 2")
	span.Must(syscall.Pipe(fd[:]) == nil, "pipe")
	wg.Add(readers)
	for i := 0; i < readers; i++ {
		go reader(fd[0], &wg)
	}
	t.Run(200 * time.Millisecond)
	n, err := syscall.Write(fd[1], []byte("1234"))
	span.Must(n == readers && err == nil, "write")
	wg.Wait()
	t.Print(20 * time.Millisecond)
}
