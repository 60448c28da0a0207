// blockcall: see bench/workloads/blockcall.c. Syscall tells the scheduler, RawSyscall does not.
package main

import (
	"math"
	"syscall"
	"time"

	"leat.bench/peers/go/internal/span"
)

const (
	calls = 200 * 1000
	runs  = 20
)

func bare() float64 {
	begun := time.Now()
	for i := 0; i < calls; i++ {
		_, _, _ = syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	}
	return float64(time.Since(begun)) / calls
}

func announced() float64 {
	begun := time.Now()
	for i := 0; i < calls; i++ {
		_, _, _ = syscall.Syscall(syscall.SYS_GETPID, 0, 0, 0)
	}
	return float64(time.Since(begun)) / calls
}

func main() {
	least, leastAnnounced := 1e9, 1e9
	for i := 0; i < runs; i++ {
		least = math.Min(least, bare())
		leastAnnounced = math.Min(leastAnnounced, announced())
	}
	span.Line("bare", least, "ns")
	span.Line("announced", leastAnnounced, "ns")
	span.Line("over", leastAnnounced-least, "ns")
}
