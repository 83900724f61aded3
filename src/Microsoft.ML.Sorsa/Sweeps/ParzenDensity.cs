namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// A density over places from 0 to 1, of the places where trials were: a kernel on each, and one share for all places alike (the prior). On a scale the kernels are
/// normal, cut off at the ends, as wide as the larger distance to a neighbour; of choices they are the choice itself.
/// </summary>
internal sealed class ParzenDensity
{
    private readonly double[] _places;
    private readonly double[] _widths;
    private readonly int? _choices;

    public ParzenDensity(double[] places, int? choices)
    {
        _places = [.. places.Order()];
        _choices = choices;
        _widths = new double[_places.Length];

        // No kernel is so narrow that one trial rules over its neighbourhood; the floor falls with the number of trials, as in hyperopt.
        double floor = 1.0 / Math.Min(100, 2 + _places.Length);
        for (int i = 0; i < _places.Length; i++)
        {
            double below = _places[i] - (i > 0 ? _places[i - 1] : 0), above = (i + 1 < _places.Length ? _places[i + 1] : 1) - _places[i];
            _widths[i] = Math.Clamp(Math.Max(below, above), floor, 1);
        }
    }

    /// <summary>The place that two uniform numbers from 0 up to 1 give.</summary>
    public double Draw(double part, double place)
    {
        // The prior is the last of the equal parts.
        int kernel = (int)(part * (_places.Length + 1));
        if (kernel >= _places.Length)
        {
            return place;
        }

        if (_choices is { } choices)
        {
            return (Choice(_places[kernel]) + 0.5) / choices;
        }

        // The quantile within the part of the normal distribution that lies between the ends, by bisection.
        double low = 0, high = 1;
        double start = Normal(0, kernel), end = Normal(1, kernel);
        for (int i = 0; i < 60; i++)
        {
            double middle = (low + high) / 2;
            (low, high) = Normal(middle, kernel) - start < place * (end - start) ? (middle, high) : (low, middle);
        }

        return Math.Min(low, Math.BitDecrement(1));
    }

    /// <summary>The logarithm of the density at a place.</summary>
    public double LogDensity(double place)
    {
        double sum = 1;
        for (int kernel = 0; kernel < _places.Length; kernel++)
        {
            sum += _choices is { } choices
                ? Choice(place) == Choice(_places[kernel]) ? choices : 0
                : Math.Exp(-Math.Pow((place - _places[kernel]) / _widths[kernel], 2) / 2) / (_widths[kernel] * Math.Sqrt(2 * Math.PI) * (Normal(1, kernel) - Normal(0, kernel)));
        }

        return Math.Log(sum / (_places.Length + 1));
    }

    private int Choice(double place) => Math.Min((int)(place * _choices!.Value), _choices.Value - 1);

    private double Normal(double place, int kernel) => 0.5 * (1 + Erf((place - _places[kernel]) / (_widths[kernel] * Math.Sqrt(2))));

    /// <summary>The error function, to 1.5e-7 (Abramowitz and Stegun, 7.1.26): enough to draw from.</summary>
    private static double Erf(double x)
    {
        double t = 1 / (1 + 0.3275911 * Math.Abs(x));
        double polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
        return Math.Sign(x) * (1 - polynomial * Math.Exp(-x * x));
    }
}
