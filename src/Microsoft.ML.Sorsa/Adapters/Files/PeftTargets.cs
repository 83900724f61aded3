using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>
/// Which projections adapter_config.json names, as PEFT decides it: target_modules and exclude_modules are a regular expression over the
/// whole name, or names that it ends in; layers_to_transform counts behind layers_pattern.
/// </summary>
internal static class PeftTargets
{
    private const string AllLinear = "all-linear";

    /// <summary>An expression comes from anywhere; one that takes longer on a name is refused.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Whether a projection of the base is adapted; null where target_modules is absent, and PEFT goes by the model's family.
    /// </summary>
    /// <exception cref="InvalidDataException">An expression that is none, or takes too long.</exception>
    public static Func<string, bool>? Of(JsonReader config)
    {
        if (config.Find("target_modules") is not { } targets)
        {
            return null;
        }

        Func<string, bool> named = targets.IsText && targets.Text == AllLinear ? _ => true : Names(targets);
        Func<string, bool> excluded = config.IsSet("exclude_modules") ? Names(config["exclude_modules"]) : _ => false;

        // PEFT looks at layers beside a list of names alone.
        Func<string, bool> layers = targets.IsArray ? Layers(config) : _ => true;
        return path => !excluded(path) && named(path) && layers(path);
    }

    private static Func<string, bool> Names(JsonReader value)
    {
        if (value.IsText)
        {
            Expression whole = new(value, $@"\A(?:{value.Text})\z");
            return path => whole.Match(path).Success;
        }

        string[] names = [.. value.Items.Select(item => item.Text)];
        return path => names.Any(name => path == name || path.EndsWith($".{name}", StringComparison.Ordinal));
    }

    private static Func<string, bool> Layers(JsonReader config)
    {
        IReadOnlyList<int> indices = config.Integers("layers_to_transform");
        if (indices.Count == 0)
        {
            return _ => true;
        }

        Expression[] found = !config.IsSet("layers_pattern")
            ? [new Expression(config["layers_to_transform"], @"\A.*\.[^.]*\.(?<layer>[0-9]+)\.")]
            : [.. (config["layers_pattern"] is { IsArray: true } list ? list.Items : [config["layers_pattern"]])
                .Select(pattern => new Expression(pattern, $@"\A.*\.(?:{pattern.Text})\.(?<layer>[0-9]+)\."))];
        return path => found.Select(expression => expression.Match(path)).FirstOrDefault(match => match.Success) is { } match
            && int.TryParse(match.Groups["layer"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int layer)
            && indices.Contains(layer);
    }

    /// <summary>A regular expression of the file's.</summary>
    private sealed class Expression
    {
        private readonly JsonReader _value;
        private readonly Regex _regex;

        public Expression(JsonReader value, string expression)
        {
            _value = value;
            try
            {
                // Python's named groups are written with a P.
                _regex = new Regex(
                    expression.Replace("(?P<", "(?<", StringComparison.Ordinal), RegexOptions.CultureInvariant, s_limit);
            }
            catch (ArgumentException e)
            {
                throw value.Invalid($"must be a regular expression ({e.Message})");
            }
        }

        public Match Match(string path)
        {
            try
            {
                return _regex.Match(path);
            }
            catch (RegexMatchTimeoutException)
            {
                throw _value.Invalid($"takes more than a second to compare with '{path}'");
            }
        }
    }
}
