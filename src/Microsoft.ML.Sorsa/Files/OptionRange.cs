using System.Globalization;
using System.Reflection;

namespace Microsoft.ML.Sorsa.Files;

/// <summary>The range of a number among some options, as data beside it. Null is in every range.</summary>
/// <param name="minimum">The least value.</param>
/// <param name="maximum">The largest value.</param>
/// <param name="remedy">What to do outside of it, without a full stop.</param>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class OptionRangeAttribute(double minimum, double maximum, string remedy) : Attribute
{
    /// <summary>The least value is not allowed itself.</summary>
    public bool MinimumIsExclusive { get; init; }

    /// <summary>The largest value is not allowed itself.</summary>
    public bool MaximumIsExclusive { get; init; }

    public string Remedy => remedy;

    /// <summary>As it stands in an error: "at least 0 and below 1".</summary>
    public string Limit
    {
        get
        {
            string least = MinimumIsExclusive ? "above" : "at least", most = MaximumIsExclusive ? "below" : "at most";
            return maximum is double.MaxValue or int.MaxValue ? FormattableString.Invariant($"{least} {minimum}")
                : !MinimumIsExclusive && !MaximumIsExclusive ? FormattableString.Invariant($"from {minimum} to {maximum}")
                : FormattableString.Invariant($"{least} {minimum} and {most} {maximum}");
        }
    }

    public bool Contains(object? value) =>
        value is null || (Convert.ToDouble(value, CultureInfo.InvariantCulture) is var number && double.IsFinite(number)
        && (MinimumIsExclusive ? number > minimum : number >= minimum) && (MaximumIsExclusive ? number < maximum : number <= maximum));
}

/// <summary>An option that must be set: no null, and no empty text.</summary>
/// <param name="remedy">What to do where it is not, without a full stop.</param>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class OptionRequiredAttribute(string remedy) : Attribute
{
    public string Remedy => remedy;
}

/// <summary>An option that must be one of its enumeration's names.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class OptionDefinedAttribute : Attribute;

/// <summary>The one check of ranges, and the one error outside of them.</summary>
internal static class OptionRange
{
    /// <summary>Refuses options outside of what stands beside them.</summary>
    /// <param name="options">Any object whose properties have the attributes.</param>
    /// <param name="owner">What errors put before the name, such as "RankBudget."; or nothing.</param>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    public static void Verify(object options, string owner = "")
    {
        foreach (PropertyInfo property in options.GetType().GetProperties())
        {
            object? value = property.GetValue(options);
            string name = owner + property.Name;
            if (property.GetCustomAttribute<OptionRangeAttribute>() is { } range && !range.Contains(value))
            {
                throw Error(name, value, range.Limit, range.Remedy);
            }

            if (property.GetCustomAttribute<OptionRequiredAttribute>() is { } required && IsMissing(value))
            {
                throw Missing(name, value, required.Remedy);
            }

            if (property.IsDefined(typeof(OptionDefinedAttribute)) && value is Enum number && !Enum.IsDefined(number.GetType(), number))
            {
                throw Undefined(name, number);
            }
        }
    }

    /// <summary>The error of a value that is outside of its range.</summary>
    public static ArgumentOutOfRangeException Error(string name, object? value, string limit, string remedy) =>
        new(name, value, string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it must be {limit}. {remedy}."));

    /// <summary>Refuses a number that no name of the enumeration has.</summary>
    public static void VerifyDefined<T>(T value, string name)
        where T : struct, Enum
    {
        if (!Enum.IsDefined(value))
        {
            throw Undefined(name, value);
        }
    }

    /// <summary>Refuses a value that does not fit what else is set.</summary>
    public static void Fit(bool fits, string name, object? value, string other, string remedy)
    {
        if (!fits)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"{name} is {value ?? "null"}, and {other}. {remedy}."), name);
        }
    }

    private static bool IsMissing(object? value) => value is null || (value is string text && string.IsNullOrWhiteSpace(text));

    private static ArgumentException Missing(string name, object? value, string remedy) => value is null
        ? new ArgumentNullException(name, $"{name} is null; it must be set. {remedy}.")
        : new ArgumentException($"{name} is '{value}'; it must not be empty. {remedy}.", name);

    private static ArgumentOutOfRangeException Undefined(string name, Enum value) =>
        Error(name, value, $"one of {string.Join(", ", Enum.GetNames(value.GetType()))}", "Choose one of them");
}
