package planfile

// reportKeys are the forms that reports of a step can have.
func reportKeys() []key {
	glob := func(name, about, example string) key {
		return key{name: name, rule: &rule{about: about, example: example, kind: text, words: aFileGlob()}}
	}
	return []key{
		glob("junit", "Test reports in JUnit's XML form, as jest, pytest and Maven write them.", `"reports/*.xml"`),
		glob("go", "What go test printed, plain, with -v or with -json.", `"test.log"`),
		glob("trx", "Test reports of Visual Studio's form, as dotnet test --logger trx writes them.", `"TestResults/*.trx"`),
		glob("cucumber", "Test reports in Cucumber's JSON form.", `"reports/cucumber.json"`),
		glob("sarif", "What analyses have found, in the form SARIF 2.1.0.", `"lint.sarif"`),
		glob("cobertura", "Coverage in Cobertura's XML form, as coverage.py, coverlet and gcovr write it.", `"coverage.xml"`),
		glob("jacoco", "Coverage in JaCoCo's XML form, as Maven and Gradle write it.", `"target/site/jacoco/jacoco.xml"`),
		glob("lcov", "Coverage as an LCOV tracefile, as jest and istanbul write it.", `"coverage/lcov.info"`),
	}
}
