import unittest

from tally import page, words


class Tally(unittest.TestCase):
    def test_capitals_do_not_matter(self):
        self.assertEqual(words("Straße STRASSE, one1two"), {"strasse": 2, "one": 1, "two": 1})

    def test_the_most_frequent_come_first(self):
        self.assertEqual(page("b a b c", 2), "<table><tr><td>b<td>2<tr><td>a<td>1</table>\n")


if __name__ == "__main__":
    unittest.main()
