// Package span is the Go twin of bench/workloads/bench.h: the same figures, counted the same way, in the same lines.
package span

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Span is a stretch of wall time with what the whole process spent in it.
type Span struct {
	Wall   time.Duration
	CPU    time.Duration // user and system, all threads
	Sleeps int64         // voluntary context switches, all threads

	begun time.Time
}

func usage() (cpu time.Duration, sleeps int64) {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		Must(false, err.Error())
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano()), ru.Nvcsw
}

// Begin starts a span.
func Begin() *Span {
	s := &Span{}
	s.CPU, s.Sleeps = usage()
	s.begun = time.Now()
	return s
}

// End turns the span's fields into differences.
func (s *Span) End() {
	s.Wall = time.Since(s.begun)
	cpu, sleeps := usage()
	s.CPU = cpu - s.CPU
	s.Sleeps = sleeps - s.Sleeps
}

// Print shows the span: times divided by per, in units of unit; sleeps per operation.
func (s *Span) Print(prefix string, per, ops float64, unit time.Duration, name string) {
	Line(prefix+"wall", float64(s.Wall)/float64(unit)/per, name)
	Line(prefix+"cpu", float64(s.CPU)/float64(unit)/per, name)
	Line(prefix+"sleeps", float64(s.Sleeps)/ops, "1/op")
}

// Line prints one metric.
func Line(metric string, value float64, unit string) {
	fmt.Printf("%s %.9g %s\n", metric, value, unit)
}

// Must ends the program with the message unless ok.
func Must(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "benchmark failed:", what)
		os.Exit(1)
	}
}

// Arg is argument 1 as a number, or otherwise when there is none.
func Arg(otherwise int) int {
	if len(os.Args) < 2 {
		return otherwise
	}
	n, err := strconv.Atoi(os.Args[1])
	Must(err == nil && n >= 1 && len(os.Args) == 2, "usage: "+os.Args[0]+" [number, at least 1]")
	return n
}

// Splitmix is bench_splitmix() of bench.h.
func Splitmix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
