// memory: see bench/workloads/memory.c. The gate is a channel that is closed, as one writes it in Go.
package main

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"leat.bench/peers/go/internal/span"
)

// procBytes is a line "NAME:  N kB" of a file in /proc/self.
func procBytes(path, name string) float64 {
	text, err := os.ReadFile(path)
	span.Must(err == nil, path)
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == name {
			kib, err := strconv.ParseFloat(fields[1], 64)
			span.Must(err == nil, line)
			return kib * 1024
		}
	}
	span.Must(false, "no "+name+" in "+path)
	return 0
}

func resident() float64   { return procBytes("/proc/self/smaps_rollup", "Rss:") }
func pageTables() float64 { return procBytes("/proc/self/status", "VmPTE:") }

var (
	arrived, ended sync.WaitGroup
	gate           = make(chan struct{})
)

func sleeper() {
	arrived.Done()
	<-gate
	ended.Done()
}

func main() {
	n := span.Arg(100_000)
	rss := resident()
	tables := pageTables()
	arrived.Add(n)
	ended.Add(n)

	s := span.Begin()
	for i := 0; i < n; i++ {
		go sleeper()
	}
	arrived.Wait()
	s.End()
	time.Sleep(20 * time.Millisecond) // the last ones are on their way to the gate

	span.Line("rss", (resident()-rss)/float64(n), "B")
	span.Line("pagetables", (pageTables()-tables)/float64(n), "B")
	s.Print("start_", 1, float64(n), time.Millisecond, "ms")

	s = span.Begin()
	close(gate)
	ended.Wait()
	s.End()
	s.Print("wake_", 1, float64(n), time.Millisecond, "ms")
}
