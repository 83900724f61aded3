using System.Collections;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// What a sweep varies: options of <see cref="SorsaFineTuningTrainer.Options"/> by name, each with the values that it may take. Options
/// that are not in it keep the value that the experiment was made with.
/// <code>
/// new SorsaSearchSpace
/// {
///     ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2, logBase: true),
///     ["Rank"] = new UniformIntOption(4, 64, logBase: true),
/// }
/// </code>
/// </summary>
public sealed class SorsaSearchSpace : IEnumerable<KeyValuePair<string, ISearchOption>>
{
    private readonly List<KeyValuePair<string, ISearchOption>> _options = [];

    /// <summary>How many options it varies.</summary>
    public int Count => _options.Count;

    /// <summary>The values of an option.</summary>
    /// <param name="name">The option's name, as <c>nameof(SorsaFineTuningTrainer.Options.Gamma)</c> gives it.</param>
    /// <exception cref="KeyNotFoundException">The option is not in the space.</exception>
    public ISearchOption this[string name]
    {
        get => Find(name) is var found && found >= 0
            ? _options[found].Value
            : throw new KeyNotFoundException($"The search space has no option '{name}', only "
                + $"{string.Join(", ", _options.Select(option => option.Key))}.");
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            int found = Find(name);
            if (found >= 0)
            {
                _options[found] = KeyValuePair.Create(name, value);
            }
            else
            {
                Add(name, value);
            }
        }
    }

    /// <summary>
    /// A start for SORSA, around the paper's values: γ log-uniform from 1e-5 to 1e-2 (the tables' 4e-4 in the middle, Eq. 17's bound
    /// unknown), Rank from 4 to 64 (at most <paramref name="largestRank"/>), the learning rate log-uniform from 1e-4 to 5e-3.
    /// </summary>
    /// <param name="largestRank">The largest rank; at most the smaller side of the smallest target.</param>
    public static SorsaSearchSpace Paper(int largestRank = 64) => new()
    {
        ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2, logBase: true),
        ["Rank"] = new UniformIntOption(Math.Min(4, Math.Max(1, largestRank - 1)), largestRank, logBase: true),
        ["LearningRate"] = new UniformDoubleOption(1e-4, 5e-3, logBase: true),
    };

    /// <summary>Adds an option.</summary>
    /// <exception cref="ArgumentException">It is there already.</exception>
    public void Add(string name, ISearchOption option)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(option);
        if (Find(name) >= 0)
        {
            throw new ArgumentException($"The search space has '{name}' already. Name each option once.", nameof(name));
        }

        _options.Add(KeyValuePair.Create(name, option));
    }

    /// <summary>The options in the order in which they were added.</summary>
    public IEnumerator<KeyValuePair<string, ISearchOption>> GetEnumerator() => _options.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal SorsaSearchSpace Clone() => [.. _options];

    /// <summary>Refuses spaces without a value.</summary>
    internal void Validate()
    {
        if (Count == 0)
        {
            throw new ArgumentException("The search space is empty: there is nothing to vary. "
                + "Add an option, or use SorsaSearchSpace.Paper().", nameof(SorsaSearchSpace));
        }

        foreach ((string name, ISearchOption option) in _options)
        {
            option.Validate(name);
        }
    }

    internal OrderedDictionary<string, object?> Parameters(Func<string, ISearchOption, object?> value)
    {
        var parameters = new OrderedDictionary<string, object?>(StringComparer.Ordinal);
        foreach ((string name, ISearchOption option) in _options)
        {
            parameters.Add(name, value(name, option));
        }

        return parameters;
    }

    private void Add(KeyValuePair<string, ISearchOption> option) => _options.Add(option);

    private int Find(string name) => _options.FindIndex(option => string.Equals(option.Key, name, StringComparison.Ordinal));
}
