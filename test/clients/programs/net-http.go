// Go's net/http as a guest's client; its two usages are in ../client.ts.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
)

type request struct {
	Method, Path string
	Body         *string
	Chunked      bool
}

type answer struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"` // base64
	Reused  bool              `json:"reused"`
}

var wanted = []string{"Content-Type", "Content-Length", "X-Content-Type-Options"}

func clientOf(socket string, keep bool) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: !keep}}
}

func (r request) body() io.Reader {
	if r.Body == nil {
		return nil
	}
	if r.Chunked {
		return io.MultiReader(strings.NewReader(*r.Body)) // of a length that net/http cannot see
	}
	return strings.NewReader(*r.Body)
}

func ask(client *http.Client, r request) (result answer) {
	made, err := http.NewRequest(r.Method, "http://lxd"+r.Path, r.body())
	check(err)
	trace := httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { result.Reused = got.Reused }}
	response, err := client.Do(made.WithContext(httptrace.WithClientTrace(made.Context(), &trace)))
	check(err)
	defer response.Body.Close()
	result.Status = response.StatusCode
	result.Body, err = io.ReadAll(response.Body)
	check(err)
	result.Headers = map[string]string{}
	for _, name := range wanted {
		if value := response.Header.Get(name); value != "" {
			result.Headers[strings.ToLower(name)] = value
		}
	}
	if len(response.TransferEncoding) > 0 {
		result.Headers["transfer-encoding"] = strings.Join(response.TransferEncoding, ",")
	}
	return result
}

func askAll(client *http.Client, path string) {
	text, err := os.ReadFile(path)
	check(err)
	var requests []request
	check(json.Unmarshal(text, &requests))
	answers := []answer{}
	for _, r := range requests {
		answers = append(answers, ask(client, r))
	}
	check(json.NewEncoder(os.Stdout).Encode(answers))
}

func listen(client *http.Client, count int) {
	response, err := client.Get("http://lxd/1.0/events")
	check(err)
	lines := bufio.NewScanner(response.Body)
	for ; count > 0 && lines.Scan(); count-- {
		fmt.Println(lines.Text())
	}
	check(lines.Err())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	if os.Args[1] == "listen" {
		count, err := strconv.Atoi(os.Args[3])
		check(err)
		listen(clientOf(os.Args[2], true), count)
		return
	}
	askAll(clientOf(os.Args[2], os.Args[4] == "kept"), os.Args[3])
}
