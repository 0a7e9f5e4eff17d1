// Writes a small vulnerability database for Trivy (trivy-db, schema 2) from advisories.json, with trivy-db's own code:
//
//	trivy-database advisories.json CACHE/db
//
// Copied from this project's reference data (captured-scans/make/trivydb), Apache-2.0.
package main

import (
	"encoding/json"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
	"github.com/aquasecurity/trivy-db/pkg/types"
)

type adv struct {
	Kind, OS, Eco, Pkg, ID, Fixed, T, Via, Status string
	Vuln, Ghsa                                    string
	Patched, Vendor                               []string
}
type vuln struct {
	ID, Nvd, Title, Description, Vector string
	Score                               float64
	Published, Modified                 time.Time
	Cwe                                 []string
	Vendor                              map[string]string
	Detail                              bool
}
type file struct {
	Vulns      []vuln
	Advisories []adv
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
func sev(s string) types.Severity { v, err := types.NewSeverity(s); must(err); return v }

var sources = map[string]types.DataSource{
	"alpine": {ID: "alpine", Name: "Alpine Secdb", URL: "https://secdb.alpinelinux.org/"},
	"debian": {ID: "debian", Name: "Debian Security Tracker", URL: "https://salsa.debian.org/security-tracker-team/security-tracker"},
	"ubuntu": {ID: "ubuntu", Name: "Ubuntu CVE Tracker", URL: "https://git.launchpad.net/ubuntu-cve-tracker"},
	"wolfi":  {ID: "wolfi", Name: "Wolfi Secdb", URL: "https://wolfi.example.org/os/security.json"},
	"npm":    {ID: "ghsa", Name: "GitHub Security Advisory npm", URL: "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Anpm"},
	"pip":    {ID: "ghsa", Name: "GitHub Security Advisory pip", URL: "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Apip"},
	"go":     {ID: "ghsa", Name: "GitHub Security Advisory Go", URL: "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Ago"},
	"stdlib": {ID: "govulndb", Name: "The Go Vulnerability Database", URL: "https://pkg.go.dev/vuln/"},
	"cargo":  {ID: "ghsa", Name: "GitHub Security Advisory Rust", URL: "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Arust"},
}

func main() {
	b, err := os.ReadFile(os.Args[1])
	must(err)
	var f file
	must(json.Unmarshal(b, &f))
	must(os.RemoveAll(os.Args[2]))
	must(db.Init(os.Args[2]))
	c := db.Config{}
	must(c.BatchUpdate(func(tx *bolt.Tx) error {
		for _, a := range f.Advisories {
			if a.Kind == "os" {
				name := a.OS
				family := name
				for i, r := range name {
					if r == ' ' {
						family = name[:i]
						break
					}
				}
				must(c.PutDataSource(tx, name, sources[family]))
				x := types.Advisory{FixedVersion: a.Fixed, VendorIDs: a.Vendor}
				if a.Via == "advisory" {
					x.Severity = sev(a.T)
				}
				if a.Status != "" {
					x.Status = types.NewStatus(a.Status)
				}
				must(c.PutAdvisoryDetail(tx, a.ID, a.Pkg, []string{name}, &x))
			} else {
				src := sources[a.Eco]
				if a.Pkg == "stdlib" {
					src = sources["stdlib"]
				}
				bkt := a.Eco + "::" + src.Name
				must(c.PutDataSource(tx, bkt, src))
				x := types.Advisory{VulnerableVersions: []string{a.Vuln}, PatchedVersions: a.Patched}
				if a.Ghsa != "" && a.Ghsa != a.ID {
					x.VendorIDs = []string{a.Ghsa}
				}
				must(c.PutAdvisoryDetail(tx, a.ID, a.Pkg, []string{bkt}, &x))
			}
			must(c.PutVulnerabilityID(tx, a.ID))
		}
		for _, v := range f.Vulns {
			must(c.SaveAdvisoryDetails(tx, v.ID))
			if !v.Detail {
				continue
			}
			x := types.Vulnerability{Title: v.Title, Description: v.Description, CweIDs: v.Cwe, References: []string{"https://example.org/advisory/" + v.ID},
				PublishedDate: &v.Published, LastModifiedDate: &v.Modified, VendorSeverity: types.VendorSeverity{}, CVSS: types.VendorCVSS{}}
			if v.Nvd != "" {
				x.VendorSeverity["nvd"] = sev(v.Nvd)
				x.CVSS["nvd"] = types.CVSS{V3Vector: v.Vector, V3Score: v.Score}
			}
			for k, s := range v.Vendor {
				x.VendorSeverity[types.SourceID(k)] = sev(s)
			}
			must(c.PutVulnerability(tx, v.ID, x))
		}
		return nil
	}))
	must(c.DeleteAdvisoryDetailBucket())
	must(db.Close())
	now := time.Now().UTC()
	must(metadata.NewClient(os.Args[2]).Update(metadata.Metadata{Version: 2, UpdatedAt: now, DownloadedAt: now, NextUpdate: now.AddDate(50, 0, 0)}))
}
