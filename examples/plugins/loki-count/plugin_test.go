package main

import "testing"

func TestTextsAreQuotedInTheQuery(t *testing.T) {
	got := query(Config{Selector: `{app="shop"}`, Contains: `say "no"`, Matches: `5\d\d`, Window: "5m"})
	want := `sum(count_over_time({app="shop"} |= "say \"no\"" |~ "5\\d\\d" [5m]))`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
