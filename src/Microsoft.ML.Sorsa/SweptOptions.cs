using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

/// <summary>A search space against the trainer's options and the model: every value at an end, every choice, with every method that it can come together with.</summary>
internal static class SweptOptions
{
    private const string Method = nameof(SorsaFineTuningTrainer.Options.Method);

    /// <exception cref="ArgumentException">An option is not the trainer's; a value is outside its range, or does not fit the method or the model.</exception>
    public static void Verify(SorsaFineTuningTrainer.Options template, SorsaSearchSpace space, DecoderConfig config)
    {
        foreach ((string name, ISearchOption option) in space)
        {
            if (!SorsaFineTuningTrainer.Options.Sweepable.Contains(name, StringComparer.Ordinal))
            {
                throw new ArgumentException($"The search space has '{name}', which is no option of the trainer that a sweep can vary. Use one of {string.Join(", ", SorsaFineTuningTrainer.Options.Sweepable)}.", name);
            }

            SorsaFineTuningTrainer.Options[] owners = [.. Methods(template, space).Where(options => options.HasOption(name))];
            if (owners.Length == 0)
            {
                throw new ArgumentException($"The search space has '{name}', which does not belong to Method {template.Method}. Leave it out, or choose a method that has it.", name);
            }

            foreach (SorsaFineTuningTrainer.Options owner in owners)
            {
                foreach (object? value in option.Ends)
                {
                    SorsaFineTuningTrainer.Options options = name == Method ? template.Clone() : owner.Clone();
                    options.Set(name, ParameterText.Of(value));
                    options.Validate();
                    AdapterSet.Verify(config, options.TargetModules, options.VerifiedRank);
                }
            }
        }
    }

    /// <summary>A trial's parameters without those that its method does not have.</summary>
    public static IReadOnlyDictionary<string, object?> Reduce(SorsaFineTuningTrainer.Options template, IReadOnlyDictionary<string, object?> parameters)
    {
        SorsaFineTuningTrainer.Options options = template.Clone();
        if (parameters.TryGetValue(Method, out object? method))
        {
            options.Set(Method, ParameterText.Of(method));
        }

        return new OrderedDictionary<string, object?>(parameters.Where(parameter => options.HasOption(parameter.Key)), StringComparer.Ordinal);
    }

    /// <summary>The largest rank that a trial can ask for.</summary>
    public static int LargestRank(SorsaFineTuningTrainer.Options template, SorsaSearchSpace space) =>
        space.Where(option => option.Key == nameof(template.Rank)).SelectMany(option => option.Value.Ends).OfType<int>().Append(template.RankOrDefault).Max();

    private static IEnumerable<SorsaFineTuningTrainer.Options> Methods(SorsaFineTuningTrainer.Options template, SorsaSearchSpace space) =>
        space.FirstOrDefault(option => option.Key == Method) is { Value: { } choice }
            ? choice.Ends.Select(method =>
            {
                SorsaFineTuningTrainer.Options options = template.Clone();
                options.Set(Method, ParameterText.Of(method));
                return options;
            })
            : [template];
}
