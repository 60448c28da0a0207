"""What bench/run is made of: build, cases (who runs what), process (running it), server (loads), report (figures)."""
