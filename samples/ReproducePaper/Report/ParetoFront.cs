namespace ReproducePaper.Report;

/// <summary>The points that no other beats both ways.</summary>
internal static class ParetoFront
{
    /// <summary>From left to right those than which no other lies at once as far left and further up.</summary>
    public static IEnumerable<(double X, double Y)> Of(IEnumerable<(double X, double Y)> points)
    {
        double highest = double.NegativeInfinity;
        foreach ((double x, double y) in points.OrderBy(point => point.X).ThenByDescending(point => point.Y))
        {
            if (y > highest)
            {
                highest = y;
                yield return (x, y);
            }
        }
    }
}
