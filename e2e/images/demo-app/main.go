// Command demo-app stands in for a model server: it answers on port 8080, shows metrics in Prometheus' text format and,
// where MODEL_PATH names a file, refuses to be ready before it has read it.
//
//	GET /         a greeting with the model's size and SHA-256
//	GET /healthz  200 while the process lives
//	GET /readyz   200 once the model was read
//	GET /metrics  counters
//
// It needs no user, no writable file system and no name service. With arguments it does something else:
// `demo-app get URL` prints an answer (exit code 1 on failure), `demo-app cat FILE` a file, `demo-app sleep` waits.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
		return serve(ctx)
	case len(args) == 2 && args[0] == "get":
		return get(ctx, args[1])
	case len(args) == 2 && args[0] == "cat":
		return cat(args[1])
	case len(args) == 1 && args[0] == "sleep":
		<-ctx.Done()
		return nil
	}
	return errors.New("usage: demo-app [get URL | cat FILE | sleep]")
}

func serve(ctx context.Context) error {
	var requests, size atomic.Int64
	var ready atomic.Bool
	model, sum := os.Getenv("MODEL_PATH"), ""
	if model == "" {
		ready.Store(true)
	} else {
		file, err := os.Open(model)
		if err != nil {
			return fmt.Errorf("the model cannot be read: %w", err)
		}
		hash := sha256.New()
		n, err := io.Copy(hash, file)
		file.Close()
		if err != nil {
			return fmt.Errorf("the model cannot be read: %w", err)
		}
		sum = fmt.Sprintf("%x", hash.Sum(nil))
		size.Store(n)
		ready.Store(true)
		log.Printf("model %s: %d bytes, sha256 %s", model, n, sum)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "the model is not read yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(w, "# HELP demo_requests_total Requests for an answer.\n# TYPE demo_requests_total counter\ndemo_requests_total %d\n", requests.Load())
		fmt.Fprintf(w, "# HELP demo_model_bytes Size of the model that was read.\n# TYPE demo_model_bytes gauge\ndemo_model_bytes %d\n", size.Load())
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		log.Printf("request %d from %s", n, r.RemoteAddr)
		if model == "" {
			fmt.Fprintln(w, "hello, no model")
			return
		}
		fmt.Fprintf(w, "hello from a model of %d bytes, sha256 %s\n", size.Load(), sum)
	})

	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Print("listening on ", server.Addr)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return server.Shutdown(drain)
	}
}

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	return nil
}

func cat(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(os.Stdout, file)
	return err
}
