// Package sdktest is a host for unit tests: it answers from a script and records what it was asked.
package sdktest

import (
	"encoding/json"
	"strings"
	"time"

	"sluice.dev/sdk"
)

// Line is a log line.
type Line struct {
	Level   sdk.Level
	Message string
	Fields  []sdk.Header
}

// Host grants nothing yet, at the beginning of 1970.
type Host struct {
	// Requests are what was sent, in order.
	Requests []*sdk.Request
	// Lines are what was logged, in order.
	Lines []Line
	// Objects are what is there for a router, and what its changes made of them.
	Objects []sdk.Object

	script  []*scripted
	secrets map[string][]byte
	now     time.Time
	context sdk.Context
	step    sdk.StepContext
}

type scripted struct {
	route    string
	response *sdk.Response
	err      error
	used     bool
}

// New is a host.
func New() *Host { return &Host{secrets: map[string][]byte{}, now: time.Unix(0, 0)} }

// Answers answers a route, such as "POST http://shop/search": a string as it is, the rest as JSON.
//
// A URL's query counts only if the route has one. A route with several answers gives them in turn,
// the last one for ever. What no route covers is not granted.
func (h *Host) Answers(route string, status int, body any) *Host {
	text, ok := body.(string)
	bytes := []byte(text)
	if !ok {
		bytes, _ = json.Marshal(body)
	}
	return h.Responds(route, &sdk.Response{Status: status, Body: bytes})
}

// Responds answers a route with a whole response.
func (h *Host) Responds(route string, response *sdk.Response) *Host {
	h.script = append(h.script, &scripted{route: route, response: response})
	return h
}

// Fails lets a route fail, as with a [sdk.Transient].
func (h *Host) Fails(route string, err error) *Host {
	h.script = append(h.script, &scripted{route: route, err: err})
	return h
}

// Grants grants a secret.
func (h *Host) Grants(alias string, value []byte) *Host {
	h.secrets[alias] = value
	return h
}

// At sets the time.
func (h *Host) At(now time.Time) *Host {
	h.now = now
	return h
}

// For sets the measurement that is taken.
func (h *Host) For(ctx sdk.Context) *Host {
	h.context = ctx
	return h
}

// Run calls a provider's Run. The configuration is JSON, or a value to be written as JSON, and is
// read the way the controller's is.
func Run[C any](h *Host, provider sdk.Provider[C], config any) (sdk.Measurement, error) {
	defer sdk.UseHost(sdk.UseHost(h))
	return sdk.FunctionsOf(provider).Run(h.context, text(config))
}

// Resume calls a provider's Resume.
func Resume[C any](h *Host, provider sdk.Provider[C], config, token any) (sdk.Measurement, error) {
	defer sdk.UseHost(sdk.UseHost(h))
	return sdk.FunctionsOf(provider).Resume(h.context, text(config), text(token))
}

// Terminate calls a provider's Terminate.
func Terminate[C any](h *Host, provider sdk.Provider[C], config, token any) error {
	defer sdk.UseHost(sdk.UseHost(h))
	return sdk.FunctionsOf(provider).Terminate(h.context, text(config), text(token))
}

// Validate calls a provider's Validate.
func Validate[C any](h *Host, provider sdk.Provider[C], config any) error {
	defer sdk.UseHost(sdk.UseHost(h))
	return sdk.FunctionsOf(provider).Validate(text(config))
}

func text(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	bytes, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(bytes)
}

// Send is called by the SDK.
func (h *Host) Send(request *sdk.Request) (*sdk.Response, error) {
	h.Requests = append(h.Requests, request)
	whole := request.Method + " " + request.URL
	bare, _, _ := strings.Cut(whole, "?")
	var found *scripted
	for _, one := range h.script {
		if one.route != whole && one.route != bare {
			continue
		}
		found = one
		if !one.used {
			break
		}
	}
	if found == nil {
		return nil, &sdk.Failed{Code: "not-granted", Message: "the plugin lacks the grant " + whole}
	}
	found.used = true
	return found.response, found.err
}

// Secret is called by the SDK.
func (h *Host) Secret(alias string) ([]byte, error) {
	if value, ok := h.secrets[alias]; ok {
		return value, nil
	}
	return nil, &sdk.Failed{Code: "not-granted", Message: "the plugin lacks the grant secret " + alias}
}

// Enabled is called by the SDK.
func (h *Host) Enabled(sdk.Level) bool { return true }

// Log is called by the SDK.
func (h *Host) Log(level sdk.Level, message string, fields []sdk.Header) {
	h.Lines = append(h.Lines, Line{level, message, fields})
}

// Now is called by the SDK.
func (h *Host) Now() time.Time { return h.now }
