package shop;

/** When a shop is open, in whole hours of one day. */
public record Hours(int from, int to) {
    public Hours {
        if (from < 0 || to > 24 || from >= to) {
            throw new IllegalArgumentException("a shop opens before it closes, between 0 and 24: " + from + " to " + to);
        }
    }

    public boolean openAt(int hour) {
        return from <= hour && hour < to;
    }

    public static void main(String[] args) {
        var hours = new Hours(Integer.parseInt(args[0]), Integer.parseInt(args[1]));
        var line = new StringBuilder();
        for (int hour = 0; hour < 24; hour++) {
            line.append(hours.openAt(hour) ? '#' : '.');
        }
        System.out.println("<pre>" + line + "</pre>");
    }
}
