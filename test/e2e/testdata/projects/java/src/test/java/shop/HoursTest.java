package shop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Tests without a framework, which write what JUnit's runner would. */
public final class HoursTest {
    public static void main(String[] args) throws IOException {
        check(new Hours(9, 17).openAt(9), "it is open when it opens");
        check(!new Hours(9, 17).openAt(17), "it is closed when it closes");
        boolean refused = false;
        try {
            new Hours(17, 9);
        } catch (IllegalArgumentException e) {
            refused = true;
        }
        check(refused, "it does not open after it closes");
        Files.writeString(Path.of(args[0]), "<testsuite name=\"hours\" tests=\"3\">" + cases + "</testsuite>\n");
    }

    private static String cases = "";

    private static void check(boolean holds, String name) {
        if (!holds) {
            throw new AssertionError(name);
        }
        cases += "<testcase classname=\"shop.Hours\" name=\"" + name + "\"/>";
    }
}
