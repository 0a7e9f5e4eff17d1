// Writes a small vulnerability database for Grype (schema 6) from advisories.json, with Grype's own code:
//
//	grype-database advisories.json CACHE/6
//
// Copied from this project's reference data (captured-scans/make/grypedb), Apache-2.0.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/afero"

	v6 "github.com/anchore/grype/grype/db/v6"
)

type adv struct {
	Kind, OS, Eco, Pkg, ID, Fixed, T, G, Status, Gstate, Date, Vuln, Ghsa string
	Patched, Vendor, Fixes                                                []string
}
type vuln struct {
	ID, Nvd, Title, Description, Vector string
	Published, Modified                 time.Time
	Cwe                                 []string
	Detail                              bool
}
type file struct {
	Vulns      []vuln
	Advisories []adv
	Kev        []string
	Epss       map[string][]float64
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	b, err := os.ReadFile(os.Args[1])
	must(err)
	var f file
	must(json.Unmarshal(b, &f))
	dir := os.Args[2]
	must(os.RemoveAll(dir))
	must(os.MkdirAll(dir, 0o755))
	w, err := v6.NewWriter(v6.Config{DBDirPath: dir})
	must(err)
	must(w.SetDBMetadata())
	now := time.Now().UTC().Truncate(time.Second)
	prov := map[string]*v6.Provider{}
	for _, id := range []string{"alpine", "debian", "ubuntu", "wolfi", "github", "nvd", "kev", "epss"} {
		p := &v6.Provider{ID: id, Version: "1", Processor: "vunnel@0.0.0-test", DateCaptured: &now, InputDigest: "xxh64:0000000000000000"}
		must(w.AddProvider(*p))
		prov[id] = p
	}
	by := map[string]vuln{}
	for _, v := range f.Vulns {
		v := v
		by[v.ID] = v
		if !strings.HasPrefix(v.ID, "CVE-") || v.Nvd == "" {
			continue
		}
		must(w.AddVulnerabilities(&v6.VulnerabilityHandle{Name: v.ID, Status: v6.VulnerabilityActive, PublishedDate: &v.Published, ModifiedDate: &v.Modified,
			ProviderID: "nvd", Provider: prov["nvd"], BlobValue: &v6.VulnerabilityBlob{ID: v.ID, Description: v.Description,
				References: []v6.Reference{{URL: "https://nvd.nist.gov/vuln/detail/" + v.ID}},
				Severities: []v6.Severity{{Scheme: v6.SeveritySchemeCVSS, Value: v6.CVSSSeverity{Vector: v.Vector, Version: "3.1"}, Source: "nvd@nist.gov", Rank: 1}}}}))
	}
	lab := map[string]string{"debian 12": "bookworm", "ubuntu 24.04": "noble"}
	eol := map[string]string{"alpine 3.10": "2021-05-01", "alpine 3.20": "2026-04-01"}
	format := map[string]string{"npm": "npm", "pip": "python", "go": "go", "cargo": "semver"}
	eco := map[string]string{"npm": "npm", "pip": "python", "go": "go-module", "cargo": "rust-crate"}
	for _, a := range f.Advisories {
		d, err := time.Parse("2006-01-02", a.Date)
		must(err)
		v := by[a.ID]
		fix := &v6.Fix{Version: a.Fixed, State: v6.FixStatus(a.Gstate)}
		sevs := []v6.Severity{{Scheme: v6.SeveritySchemeCHMLN, Value: strings.ToLower(a.G), Rank: 1}}
		if a.Kind == "os" {
			fam, rel, _ := strings.Cut(a.OS, " ")
			maj, min, _ := strings.Cut(rel, ".")
			os_ := &v6.OperatingSystem{Name: fam, ReleaseID: fam, MajorVersion: maj, MinorVersion: min, Codename: lab[a.OS]}
			if fam == "wolfi" {
				os_.LabelVersion = "rolling"
			}
			if e, ok := eol[a.OS]; ok {
				t, _ := time.Parse("2006-01-02", e)
				os_.EOLDate = &t
			}
			if fix.State == v6.FixedStatus {
				fix.Detail = &v6.FixDetail{Available: &v6.FixAvailability{Date: &d, Kind: "first-observed"}}
			}
			typ, con := "apk", "< "+a.Fixed
			if fam == "debian" || fam == "ubuntu" {
				typ = "dpkg"
			}
			if a.Fixed == "" {
				con = ""
			}
			ec := map[string]string{"apk": "apk", "dpkg": "deb"}[typ]
			var refs []v6.Reference
			for _, x := range a.Vendor {
				refs = append(refs, v6.Reference{URL: "https://example.org/advisory/" + x, ID: x, Tags: []string{"advisory"}})
			}
			refs = append(refs, v6.Reference{URL: "https://example.org/" + fam + "/" + a.ID})
			h := &v6.VulnerabilityHandle{Name: a.ID, Status: v6.VulnerabilityActive, ProviderID: fam, Provider: prov[fam],
				BlobValue: &v6.VulnerabilityBlob{ID: a.ID, Description: "", References: refs, Severities: sevs}}
			must(w.AddVulnerabilities(h))
			must(w.AddAffectedPackages(&v6.AffectedPackageHandle{Vulnerability: h, VulnerabilityID: h.ID, OperatingSystem: os_, Package: &v6.Package{Ecosystem: ec, Name: a.Pkg},
				BlobValue: &v6.PackageBlob{CVEs: cves(a.ID), Ranges: []v6.Range{{Version: v6.Version{Type: typ, Constraint: con}, Fix: fix}}}}))
			continue
		}
		id := a.Ghsa
		if id == "" { // the Go standard library: grype matches it through NVD's CPE
			h := &v6.VulnerabilityHandle{Name: a.ID, Status: v6.VulnerabilityActive, PublishedDate: &v.Published, ModifiedDate: &v.Modified, ProviderID: "nvd", Provider: prov["nvd"],
				BlobValue: &v6.VulnerabilityBlob{ID: a.ID, Description: v.Description, References: []v6.Reference{{URL: "https://nvd.nist.gov/vuln/detail/" + a.ID}},
					Severities: []v6.Severity{{Scheme: v6.SeveritySchemeCVSS, Value: v6.CVSSSeverity{Vector: v.Vector, Version: "3.1"}, Source: "nvd@nist.gov", Rank: 1}}}}
			must(w.AddVulnerabilities(h))
			must(w.AddAffectedCPEs(&v6.AffectedCPEHandle{Vulnerability: h, VulnerabilityID: h.ID, CPE: &v6.Cpe{Part: "a", Vendor: "golang", Product: "go"},
				BlobValue: &v6.PackageBlob{CVEs: []string{a.ID}, Ranges: []v6.Range{{Version: v6.Version{Type: "", Constraint: strings.Replace(a.Vuln, "<", "< ", 1)},
					Fix: &v6.Fix{Version: a.Patched[0], State: v6.FixedStatus, Detail: &v6.FixDetail{Available: &v6.FixAvailability{Date: &d, Kind: "first-observed"}}}}}}}))
			continue
		}
		h := &v6.VulnerabilityHandle{Name: id, Status: v6.VulnerabilityActive, PublishedDate: &v.Published, ModifiedDate: &v.Modified, ProviderID: "github", Provider: prov["github"],
			BlobValue: &v6.VulnerabilityBlob{ID: id, Description: v.Title, References: []v6.Reference{{URL: "https://github.com/advisories/" + id}}, Aliases: cves(a.ID), Severities: sevs}}
		must(w.AddVulnerabilities(h))
		fix = &v6.Fix{State: v6.NotFixedStatus}
		if len(a.Fixes) > 0 {
			fix = &v6.Fix{Version: a.Fixes[0], State: v6.FixedStatus, Detail: &v6.FixDetail{Available: &v6.FixAvailability{Date: &d, Kind: "first-observed"}}}
		}
		must(w.AddAffectedPackages(&v6.AffectedPackageHandle{Vulnerability: h, VulnerabilityID: h.ID, Package: &v6.Package{Ecosystem: eco[a.Eco], Name: a.Pkg},
			BlobValue: &v6.PackageBlob{CVEs: cves(a.ID), Ranges: []v6.Range{{Version: v6.Version{Type: format[a.Eco], Constraint: a.Vuln}, Fix: fix}}}}))
	}
	for _, k := range f.Kev {
		t := now.AddDate(0, -2, 0)
		must(w.AddKnownExploitedVulnerabilities(&v6.KnownExploitedVulnerabilityHandle{Cve: k, BlobValue: &v6.KnownExploitedVulnerabilityBlob{Cve: k, VendorProject: "example", Product: "example", DateAdded: &t, RequiredAction: "Apply updates.", KnownRansomwareCampaignUse: "Unknown"}}))
	}
	for k, e := range f.Epss {
		must(w.AddEpss(&v6.EpssHandle{Cve: k, Epss: e[0], Percentile: e[1], Date: now}))
	}
	must(w.Close())
	m, err := v6.WriteImportMetadata(afero.NewOsFs(), dir, "made for tests")
	must(err)
	fmt.Println(m.Digest)
}

func cves(id string) []string {
	if strings.HasPrefix(id, "CVE-") {
		return []string{id}
	}
	return nil
}
