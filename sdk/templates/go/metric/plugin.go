// The plugin says which share of a service's requests fails.
package main

import "sluice.dev/sdk"

// Config is what a user writes under the plugin's name in a metric.
type Config struct {
	// Address is the server, such as http://rates.monitoring.
	Address string `json:"address"`
	// Service is which service.
	Service string `json:"service"`
}

// Plugin is the provider.
type Plugin struct{}

// Run takes a measurement.
func (Plugin) Run(_ sdk.Context, config Config) (sdk.Measurement, error) {
	var answer struct {
		Rate *float64 `json:"rate"`
	}
	err := sdk.Get(config.Address+"/rates").Query("service", config.Service).JSON(&answer)
	if err != nil {
		return sdk.Measurement{}, err
	}
	if answer.Rate == nil {
		return sdk.Measured(sdk.NoData{}), nil
	}
	return sdk.Measured(sdk.Number(*answer.Rate)).With("service", config.Service), nil
}

func init() { sdk.Export(Plugin{}) }

// A component has no main, and a Go program needs one.
func main() {}
