// sleepers: see bench/workloads/sleepers.c.
package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"leat.bench/peers/go/internal/span"
	"leat.bench/peers/go/internal/ticker"
)

const (
	sleepers = 64
	turns    = 10
	part     = 100 * time.Millisecond
)

func sleeper(wg *sync.WaitGroup) {
	second := syscall.Timespec{Sec: 1}
	_ = syscall.Nanosleep(&second, nil)
	wg.Done()
}

func threadsNow() (nr int) {
	text, err := os.ReadFile("/proc/self/status")
	span.Must(err == nil, "/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if n, _ := fmt.Sscanf(line, "Threads: %d", &nr); n == 1 {
			break
		}
	}
	return nr
}

func main() {
	var wg sync.WaitGroup
	var all ticker.Ticker
	most := 0
	wg.Add(sleepers)
	for i := 0; i < sleepers; i++ {
		go sleeper(&wg)
	}
	for turn := 0; turn < turns; turn++ {
		var t ticker.Ticker
		t.Run(part)
		all.Add(&t, time.Duration(turn)*part)
		if nr := threadsNow(); nr > most {
			most = nr
		}
	}
	wg.Wait()
	all.Print(part)
	span.Line("threads", float64(most), "1")
}
