// Package deploytoken answers with the token of the release that this program was started from.
//
//	http.HandleFunc("/about/deploy", deploytoken.Handle)
package deploytoken

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Read once, when the program starts, and from beside it: it says which release was started, whatever the link says now.
var token = read()

func read() string {
	program, err := os.Executable()
	if err != nil {
		return "none"
	}
	file, err := os.Open(filepath.Join(filepath.Dir(program), "TOKEN"))
	if err != nil {
		return "none"
	}
	defer file.Close()
	bytes, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return "none"
	}
	return strings.TrimSpace(string(bytes))
}

// Handle serves the token.
func Handle(response http.ResponseWriter, request *http.Request) {
	response.Header().Set("Content-Type", "text/plain")
	response.Header().Set("Cache-Control", "no-store")
	io.WriteString(response, token)
}
