//go:build wasip1

package sdk

import (
	"time"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	wirehttp "sluice.dev/sdk/internal/wit/sluice_host_http"
	wirelog "sluice.dev/sdk/internal/wit/sluice_host_log"
	wiresecrets "sluice.dev/sdk/internal/wit/sluice_host_secrets"
)

var host Host = controller{}

// controller is the way to the controller.
type controller struct{}

func (controller) Send(request *Request) (*Response, error) {
	headers := make([]witTypes.Tuple2[string, string], 0, len(request.Headers))
	for _, header := range request.Headers {
		headers = append(headers, witTypes.Tuple2[string, string]{F0: header.Name, F1: header.Value})
	}
	body := witTypes.None[[]uint8]()
	if request.Body != nil {
		body = witTypes.Some(request.Body)
	}
	answer := wirehttp.Send(wirehttp.Request{
		Method:    request.Method,
		Url:       request.URL,
		Headers:   headers,
		Body:      body,
		TimeoutMs: millis(request.Timeout),
		Insecure:  request.Insecure,
	})
	if answer.IsErr() {
		return nil, httpError(answer.Err())
	}
	got := answer.Ok()
	response := &Response{Status: int(got.Status), Body: got.Body}
	for _, pair := range got.Headers {
		response.Headers = append(response.Headers, Header{pair.F0, pair.F1})
	}
	return response, nil
}

func millis(d time.Duration) witTypes.Option[uint32] {
	const most = 1<<32 - 1
	switch ms := d.Milliseconds(); {
	case d <= 0:
		return witTypes.None[uint32]()
	case ms > most:
		return witTypes.Some(uint32(most))
	default:
		return witTypes.Some(uint32(max(ms, 1)))
	}
}

func httpError(err wirehttp.HttpError) error {
	switch err.Tag() {
	case wirehttp.HttpErrorNotGranted:
		return &Failed{Code: "not-granted", Message: "the plugin lacks the grant " + err.NotGranted()}
	case wirehttp.HttpErrorInvalidRequest:
		return &Failed{Code: "invalid-request", Message: "invalid request: " + err.InvalidRequest()}
	case wirehttp.HttpErrorTimeout:
		return &Transient{Message: "no answer in time"}
	case wirehttp.HttpErrorConnect:
		return &Transient{Message: "cannot connect: " + err.Connect()}
	case wirehttp.HttpErrorTooLarge:
		return &Failed{Code: "too-large", Message: "the answer is larger than is allowed"}
	default:
		return &Transient{Message: err.Other()}
	}
}

func (controller) Secret(alias string) ([]byte, error) {
	answer := wiresecrets.Get(alias)
	if !answer.IsErr() {
		return answer.Ok(), nil
	}
	switch err := answer.Err(); err.Tag() {
	case wiresecrets.SecretErrorNotGranted:
		return nil, &Failed{Code: "not-granted", Message: "the plugin lacks the grant " + err.NotGranted()}
	case wiresecrets.SecretErrorNotFound:
		return nil, &Failed{Code: "secret-not-found", Message: "secret not found: " + err.NotFound()}
	default:
		return nil, &Transient{Message: "secret unavailable: " + err.Unavailable()}
	}
}

func (controller) Enabled(level Level) bool { return wirelog.Enabled(wirelog.Level(level)) }

func (controller) Log(level Level, message string, fields []Header) {
	pairs := make([]witTypes.Tuple2[string, string], 0, len(fields))
	for _, field := range fields {
		pairs = append(pairs, witTypes.Tuple2[string, string]{F0: field.Name, F1: field.Value})
	}
	wirelog.Write(wirelog.Level(level), message, pairs)
}

func (controller) Now() time.Time { return time.Now() }
