// A registry that wants a name and a password, in front of one that does not: for tests of pull Secrets.
//
//	private-registry LISTEN UPSTREAM NAME PASSWORD        for example 198.18.0.254:5001 198.18.0.1:5000 puller secret
package main

import (
	"crypto/subtle"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: private-registry LISTEN UPSTREAM NAME PASSWORD")
	}
	listen, upstream, name, password := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: upstream})
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		if user != name || subtle.ConstantTimeCompare([]byte(pass), []byte(password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		r.Host = upstream
		proxy.ServeHTTP(w, r)
	})
	server := &http.Server{Addr: listen, Handler: guarded, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
