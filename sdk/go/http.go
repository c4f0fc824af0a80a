package sdk

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Header is a name and a value.
type Header struct{ Name, Value string }

// Request is one whole HTTP request.
type Request struct {
	// Method is in capitals.
	Method string
	// URL is absolute.
	URL string
	// Headers are in order; names may repeat.
	Headers []Header
	// Body may be nil.
	Body []byte
	// Timeout is the host's default if it is zero, and never longer than the call may take.
	Timeout time.Duration
	// Insecure does not check the server's certificate, if the plugin was granted that.
	Insecure bool

	failed error
}

// Get starts a GET request. Nothing is sent before [Request.Send] or [Request.JSON].
func Get(url string) *Request { return &Request{Method: "GET", URL: url} }

// Post starts a POST request.
func Post(url string) *Request { return &Request{Method: "POST", URL: url} }

// Query adds a field to the URL's query, escaped.
func (r *Request) Query(name, value string) *Request {
	joint := "?"
	if strings.Contains(r.URL, "?") {
		joint = "&"
	}
	r.URL += joint + url.QueryEscape(name) + "=" + url.QueryEscape(value)
	return r
}

// With adds a header.
func (r *Request) With(name, value string) *Request {
	r.Headers = append(r.Headers, Header{name, value})
	return r
}

// BasicAuth sends a user's name and password.
func (r *Request) BasicAuth(user, password string) *Request {
	credentials := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return r.With("authorization", "Basic "+credentials)
}

// Sending sends a value as JSON.
func (r *Request) Sending(value any) *Request {
	body, err := json.Marshal(value)
	if err != nil {
		r.failed = &Failed{Code: "bad-json", Message: err.Error()}
	}
	r.Body = body
	return r.With("content-type", "application/json")
}

// Form sends fields as a form.
func (r *Request) Form(fields url.Values) *Request {
	r.Body = []byte(fields.Encode())
	return r.With("content-type", "application/x-www-form-urlencoded")
}

// Within waits no longer than this for the answer.
func (r *Request) Within(timeout time.Duration) *Request {
	r.Timeout = timeout
	return r
}

// Send sends it. Any status is an answer. The error is [Transient] if the server cannot be reached,
// and [Failed] with the code "not-granted" if the plugin lacks the grant.
func (r *Request) Send() (*Response, error) {
	if r.failed != nil {
		return nil, r.failed
	}
	return host.Send(r)
}

// JSON sends it and reads the answer's JSON into to. A status that is not one of 200 to 299 is an
// error, as [Response.Success] says.
func (r *Request) JSON(to any) error {
	response, err := r.Send()
	if err != nil {
		return err
	}
	return response.JSON(to)
}

// Response is one whole answer.
type Response struct {
	Status  int
	Headers []Header
	Body    []byte
}

// Header is the first header of this name, whatever its case.
func (r *Response) Header(name string) string {
	for _, header := range r.Headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return ""
}

// Success is nil if the status is one of 200 to 299. Otherwise it is [Transient] for 429 and 5xx,
// with the seconds of a Retry-After, and [Failed] with a code such as "http-404" for the rest.
func (r *Response) Success() error {
	if r.Status >= 200 && r.Status < 300 {
		return nil
	}
	message := fmt.Sprintf("HTTP %d", r.Status)
	if text := excerpt(r.Body); text != "" {
		message += ": " + text
	}
	if r.Status == 429 || r.Status >= 500 {
		after, _ := strconv.ParseUint(strings.TrimSpace(r.Header("retry-after")), 10, 20)
		return &Transient{Message: message, After: time.Duration(after) * time.Second}
	}
	return &Failed{Code: fmt.Sprintf("http-%d", r.Status), Message: message}
}

// JSON reads the body into to, if the status says that all went well. What is no such JSON is
// [Failed] with the code "bad-json".
func (r *Response) JSON(to any) error {
	if err := r.Success(); err != nil {
		return err
	}
	if err := json.Unmarshal(r.Body, to); err != nil {
		return &Failed{Code: "bad-json", Message: err.Error()}
	}
	return nil
}

func excerpt(body []byte) string {
	const longest = 512
	text := strings.TrimSpace(strings.ToValidUTF8(string(body), "\uFFFD"))
	if len(text) <= longest {
		return text
	}
	end := longest
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// kindOf is the error as one of the three that the host knows.
func kindOf(err error) error {
	var invalid *InvalidConfig
	var transient *Transient
	var failed *Failed
	switch {
	case errors.As(err, &invalid):
		return invalid
	case errors.As(err, &transient):
		return transient
	case errors.As(err, &failed):
		return failed
	}
	return &Failed{Code: "error", Message: err.Error()}
}
