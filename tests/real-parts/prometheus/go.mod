module pratique.dev/real-parts/prometheus

go 1.26

require github.com/prometheus/prometheus v0.314.0
