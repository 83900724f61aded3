using System.Globalization;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>What the processes of a training say of themselves before the first step, by the names of the trainer's options.</summary>
internal static class RankSetups
{
    /// <summary>The one entry that may differ.</summary>
    public const string Processor = nameof(Processor);

    /// <summary>What is shown of a value.</summary>
    private const int LongestValue = 48;

    /// <summary>What to do about an entry that is no option or row, or where it is not enough to say the same everywhere.</summary>
    private static readonly Dictionary<string, string> s_remedies = new(StringComparer.Ordinal)
    {
        ["Base"] = "copy rank 0's model folder, whose weights are others, to the other machines",
        ["Model files"] = "copy rank 0's model folder, whose config.json or tokenizer is another, to the other machines",
        ["ComputeType"] = "choose one of them yourself where it is Auto, which goes by each rank's processor",
        ["Device"] = "see that every rank has its GPU (GpuDeviceId, CUDA_VISIBLE_DEVICES), or that none has",
        ["Library"] = "bring the same build of the program to every machine",
        ["TorchSharp"] = "bring the same build of the program to every machine",
        ["Training rows"] = "read the same rows, in the same order, on every rank",
        ["Validation rows"] = "read the same rows, in the same order, on every rank",
    };

    /// <summary>Why ranks cannot train together; null: they can.</summary>
    /// <param name="setups">By rank.</param>
    public static string? Difference(IReadOnlyList<IReadOnlyDictionary<string, string>> setups)
    {
        string[] names =
        [
            .. setups.SelectMany(setup => setup.Keys).Distinct().Order(StringComparer.Ordinal)
                .Where(name => name != Processor && setups.Any(setup => Value(setup, name) != Value(setups[0], name))),
        ];
        if (names.Length == 0)
        {
            return null;
        }

        int[] others =
        [
            .. Enumerable.Range(1, setups.Count - 1)
                .Where(rank => names.Any(name => Value(setups[rank], name) != Value(setups[0], name))),
        ];
        string line = $"{Environment.NewLine}  ";
        string[] remedies = [.. names.Where(s_remedies.ContainsKey).Select(name => $"{name}: {s_remedies[name]}.")];
        string are = others.Length == 1 ? "is" : "are";
        string list = NameList.Join([.. names.Select(name => Line(setups, name))], line);
        return string.Create(CultureInfo.InvariantCulture,
            $"{Name(others, "R")} of {setups.Count} {are} set up otherwise than rank 0. Give all of them the same options, data and model:")
            + line + list
            + string.Concat(remedies.Select(remedy => Environment.NewLine + remedy));
    }

    /// <summary>What is to be said of ranks that may train together all the same; null: nothing.</summary>
    /// <param name="setups">By rank.</param>
    public static string? Remark(IReadOnlyList<IReadOnlyDictionary<string, string>> setups) =>
        setups.All(setup => Value(setup, Processor) == Value(setups[0], Processor)) ? null
            : "The ranks compute on processors of other kinds, which round otherwise, and wait for the slowest. "
                + $"{Line(setups, Processor)}. Results are the same bits from run to run while each rank stays on its kind.";

    /// <summary>Ranks as they stand in a sentence: "rank 1", "ranks 1, 3".</summary>
    /// <param name="ranks">One at least.</param>
    /// <param name="first">The first letter.</param>
    public static string Name(IReadOnlyList<int> ranks, string first = "r") => (ranks.Count == 1 ? $"{first}ank " : $"{first}anks ")
        + NameList.Join([.. ranks.Select(rank => rank.ToString(CultureInfo.InvariantCulture))]);

    /// <summary>"LearningRate: rank 0 has 0.1, ranks 1, 2 0.2".</summary>
    private static string Line(IReadOnlyList<IReadOnlyDictionary<string, string>> setups, string name)
    {
        IEnumerable<string> others = Enumerable.Range(0, setups.Count)
            .GroupBy(rank => Value(setups[rank], name))
            .Where(alike => alike.Key != Value(setups[0], name))
            .Select(alike => $"{Name([.. alike])} {NameList.Short(alike.Key, LongestValue)}");
        return $"{name}: rank 0 has {NameList.Short(Value(setups[0], name), LongestValue)}, {string.Join(", ", others)}";
    }

    private static string Value(IReadOnlyDictionary<string, string> setup, string name) => setup.GetValueOrDefault(name, "nothing");
}
