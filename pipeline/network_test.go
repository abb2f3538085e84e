package pipeline

import "testing"

func TestAStepReachesNoMoreThanItsTrustTheOperatorAndThePlanAgreeOn(t *testing.T) {
	t.Parallel()
	all := []Network{"", NoNetwork, ListedHosts, AnyHost, "nonsense"}
	for trust := Outside; trust <= Approved; trust++ {
		for _, asked := range all {
			for _, most := range all {
				got := trust.Network(asked, most)
				switch {
				case got.width() > most.width(), asked != "" && got.width() > asked.width():
					t.Errorf("%s asked for %q of %q and got %q", trust, asked, most, got)
				case trust == Outside && got != NoNetwork, trust == Allowed && got == AnyHost:
					t.Errorf("%s got %q", trust, got)
				}
			}
		}
	}
	for _, tc := range []struct {
		trust       Trust
		asked, most Network
		want        Network
	}{
		{Writer, "", AnyHost, ListedHosts}, {Writer, AnyHost, AnyHost, AnyHost}, {Writer, AnyHost, ListedHosts, ListedHosts},
		{Writer, NoNetwork, AnyHost, NoNetwork}, {Allowed, "", AnyHost, ListedHosts}, {Allowed, AnyHost, AnyHost, ListedHosts}, {Outside, AnyHost, AnyHost, NoNetwork},
	} {
		if got := tc.trust.Network(tc.asked, tc.most); got != tc.want {
			t.Errorf("%s asked for %q of %q and got %q, not %q", tc.trust, tc.asked, tc.most, got, tc.want)
		}
	}
}
