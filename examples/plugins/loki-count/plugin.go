// The plugin counts the log lines that match, asked of Loki.
package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sdk"
)

// Config is what a user writes under the plugin's name in a metric.
type Config struct {
	// Address is the server, such as http://loki.monitoring:3100.
	Address string `json:"address"`
	// Selector is of streams, such as {app="shop"}.
	Selector string `json:"selector"`
	// Contains is a text that lines have. Left out, every line counts.
	Contains string `json:"contains,omitempty"`
	// Matches is an expression that lines match, in RE2.
	Matches string `json:"matches,omitempty"`
	// Window is how far back lines count, such as 5m.
	Window string `json:"window"`
	// Tenant is for servers with several.
	Tenant string `json:"tenant,omitempty"`
}

// LokiCount is the provider.
type LokiCount struct{}

// Validate checks what a type cannot say.
func (LokiCount) Validate(config Config) error {
	if !strings.HasPrefix(config.Selector, "{") || !strings.HasSuffix(config.Selector, "}") {
		return &sdk.InvalidConfig{Message: `selector: must be like {app="shop"}`}
	}
	window, err := time.ParseDuration(config.Window)
	if err != nil || window < time.Second {
		return &sdk.InvalidConfig{Message: "window: must be a duration of a second or more, such as 5m"}
	}
	return nil
}

func query(config Config) string {
	var filter strings.Builder
	if config.Contains != "" {
		filter.WriteString(" |= " + strconv.Quote(config.Contains))
	}
	if config.Matches != "" {
		filter.WriteString(" |~ " + strconv.Quote(config.Matches))
	}
	return fmt.Sprintf("sum(count_over_time(%s%s [%s]))", config.Selector, &filter, config.Window)
}

// Run takes a measurement.
func (LokiCount) Run(_ sdk.Context, config Config) (sdk.Measurement, error) {
	query := query(config)
	request := sdk.Get(strings.TrimRight(config.Address, "/")+"/loki/api/v1/query").
		Query("query", query).
		Query("time", strconv.FormatInt(sdk.Now().UnixNano(), 10)).
		Within(20 * time.Second)
	if config.Tenant != "" {
		request.With("X-Scope-OrgID", config.Tenant)
	}
	var answer struct {
		Data struct {
			ResultType string `json:"resultType"`
			Result     []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := request.JSON(&answer); err != nil {
		return sdk.Measurement{}, err
	}
	if answer.Data.ResultType != "vector" {
		return sdk.Measurement{}, &sdk.Failed{
			Code:    "no-vector",
			Message: fmt.Sprintf("the answer is %q and no vector", answer.Data.ResultType),
		}
	}
	// Loki answers nothing at all when no line matched, which is a count of zero and no lack of
	// data.
	count := 0.0
	for _, series := range answer.Data.Result {
		text, _ := series.Value[1].(string)
		number, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return sdk.Measurement{}, &sdk.Failed{Code: "no-number", Message: err.Error()}
		}
		count += number
	}
	return sdk.Measured(sdk.Number(count)).With("query", query), nil
}

func init() { sdk.Export(LokiCount{}) }

// A component has no main, and a Go program needs one.
func main() {}
