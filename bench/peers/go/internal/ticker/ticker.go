// Package ticker is the Go twin of bench/workloads/ticker.h.
package ticker

import (
	"sort"
	"time"

	"leat.bench/peers/go/internal/span"
)

const period = time.Millisecond

// Ticker remembers how late each tick was, and when it was.
type Ticker struct {
	late, at []time.Duration
}

// Run ticks for that long.
func (t *Ticker) Run(span time.Duration) {
	begun := time.Now()
	before := begun
	for before.Sub(begun) < span {
		time.Sleep(period)
		now := time.Now()
		t.late = append(t.late, now.Sub(before)-period)
		t.at = append(t.at, now.Sub(begun))
		before = time.Now()
	}
}

// Add takes the ticks of another one that began offset later.
func (t *Ticker) Add(other *Ticker, offset time.Duration) {
	t.late = append(t.late, other.late...)
	for _, at := range other.at {
		t.at = append(t.at, at+offset)
	}
}

func printSorted(late []time.Duration, metric string, permille int) {
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	i := len(late) * permille / 1000
	if i >= len(late) {
		i = len(late) - 1
	}
	span.Line(metric, float64(late[i])/float64(time.Millisecond), "ms")
}

// Print shows the lines; later_p99 is of the ticks that ended more than after behind the begin.
func (t *Ticker) Print(after time.Duration) {
	var later []time.Duration
	for i, at := range t.at {
		if at > after {
			later = append(later, t.late[i])
		}
	}
	printSorted(t.late, "late_p50", 500)
	printSorted(t.late, "late_p99", 990)
	printSorted(t.late, "late_max", 1000)
	if len(later) > 0 {
		printSorted(later, "later_p99", 990)
	}
}
