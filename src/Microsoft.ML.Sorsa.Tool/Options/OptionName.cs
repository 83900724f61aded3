using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tool.Options;

/// <summary>The library's names as the command line has them: MaxNewTokens is --max-new-tokens.</summary>
internal static partial class OptionName
{
    public static string Of(params IEnumerable<string> names) => "--" + string.Join('-', names.Select(Kebab));

    /// <summary>Case, hyphens and underlines aside, so that run.json may have either spelling.</summary>
    public static string Bare(string name) => string.Concat(name.Where(c => c is not ('-' or '_'))).ToLowerInvariant();

    /// <summary>max-new-tokens.</summary>
    public static string Kebab(string name) => Boundary.Replace(name, "-").ToLowerInvariant();

    [GeneratedRegex("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")]
    private static partial Regex Boundary { get; }
}
