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
// It takes the place of the programs of the samples, with their arguments: `demo-app serve [MODEL] [--host --port
// --metrics-port --model]` serves, `demo-app score|train --model= --input=|--data= --output=` reads every file of the first
// two, writes a result and ends. Flags that it does not know are taken and ignored.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
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
		return serve(ctx, map[string]string{"model": os.Getenv("MODEL_PATH")})
	case len(args) == 2 && args[0] == "get":
		return get(ctx, args[1])
	case len(args) == 2 && args[0] == "cat":
		return cat(args[1])
	case len(args) == 1 && args[0] == "sleep":
		<-ctx.Done()
		return nil
	case len(args) > 0 && args[0] == "serve":
		return serve(ctx, flags(args[1:]))
	case len(args) > 0 && (args[0] == "score" || args[0] == "train"):
		return work(args[0], flags(args[1:]))
	}
	return errors.New("usage: demo-app [get URL | cat FILE | sleep | serve ... | score ... | train ...]")
}

// flags reads --NAME=VALUE; what is no flag is the model.
func flags(args []string) map[string]string {
	out := map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if name == arg {
			name, value = "model", arg
		}
		out[name] = value
	}
	return out
}

// digest reads a file, or every file of a folder.
func digest(path string) (int64, string, error) {
	hash, size := sha256.New(), int64(0)
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		n, err := io.Copy(hash, file)
		size += n
		return err
	})
	return size, fmt.Sprintf("%x", hash.Sum(nil)), err
}

// work stands in for a batch or training job.
func work(what string, flags map[string]string) error {
	data := flags["input"] + flags["data"]
	for _, path := range []string{flags["model"], data} {
		size, sum, err := digest(path)
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", path, err)
		}
		log.Printf("%s: %d bytes, sha256 %s", path, size, sum)
	}
	for _, folder := range []string{flags["output"], flags["log"]} {
		if folder == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, what+".txt"), []byte("done\n"), 0o600); err != nil {
			return err
		}
	}
	log.Printf("%s: done", what)
	return nil
}

func serve(ctx context.Context, flags map[string]string) error {
	var requests, size atomic.Int64
	var ready atomic.Bool
	model, sum := flags["model"], ""
	if model != "" {
		n, read, err := digest(model)
		if err != nil {
			return fmt.Errorf("the model cannot be read: %w", err)
		}
		sum = read
		size.Store(n)
		log.Printf("model %s: %d bytes, sha256 %s", model, n, sum)
	}
	ready.Store(true)

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

	failed := make(chan error, 2)
	var servers []*http.Server
	for _, port := range []string{cmp.Or(flags["port"], "8080"), flags["metrics-port"]} {
		if port == "" {
			continue
		}
		server := &http.Server{Addr: net.JoinHostPort(flags["host"], port), Handler: mux, ReadHeaderTimeout: time.Second}
		servers = append(servers, server)
		go func() { failed <- server.ListenAndServe() }()
		log.Print("listening on ", server.Addr)
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		var errs []error
		for _, server := range servers {
			errs = append(errs, server.Shutdown(drain))
		}
		return errors.Join(errs...)
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
