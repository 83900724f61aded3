using System.Text.Json;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// Sees to it that the processes of a training do the same, and that none waits for one that will not come: before the first step they
/// say what they are about to train, or why they cannot; from then on one that fails ends all.
/// </summary>
/// <param name="ranks">All of them; null: this process is alone.</param>
internal sealed class RankAgreement(ITrainingRanks? ranks)
{
    private const string Fault = "Fault";

    private bool _isMet, _isTraining;

    private bool IsAlone => ranks is null || ranks.Count == 1;

    /// <summary>Returns where every rank is about to train the same.</summary>
    /// <param name="identity">What this one is about to train.</param>
    /// <exception cref="InvalidOperationException">On every rank: one has failed or left, or is set up otherwise than rank 0.</exception>
    public void Meet(RunIdentity identity)
    {
        if (IsAlone)
        {
            return;
        }

        _isMet = true;
        const string Library = nameof(Library), Device = nameof(Device);
        var run = new Dictionary<string, string>(identity.Run, StringComparer.Ordinal)
        {
            [Library] = identity.Machine[Library],
            [Device] = identity.Machine[Device],
        };
        Dictionary<string, string>?[] said = Say(run);
        for (int rank = 0; rank < said.Length; rank++)
        {
            string? fault = said[rank] is not { } other ? "has left without training: it failed before, or calls no Fit"
                : other.TryGetValue(Fault, out string? failure) ? $"has failed: {failure}"
                : null;
            if (fault is not null)
            {
                throw new InvalidOperationException($"Rank {rank} of {said.Length} {fault}");
            }
        }

        for (int rank = 1; rank < said.Length; rank++)
        {
            if (RunIdentity.Difference(said[0]!, said[rank]!, "rank 0", $"rank {rank}") is { } difference)
            {
                throw new InvalidOperationException(
                    $"Rank {rank} of {said.Length} is set up otherwise than rank 0. Give all of them the same options, data and model:"
                    + difference);
            }
        }

        _isTraining = true;
    }

    /// <summary>
    /// From now on nobody waits for another: training is at its end, or every rank is about to throw the same, by what all of them know.
    /// </summary>
    public void Part() => _isTraining = false;

    /// <summary>Takes up that this rank has failed, before its error goes on to the caller.</summary>
    /// <exception cref="AggregateException">The others cannot be told: the failure itself, and why not.</exception>
    public void Fail(Exception failure)
    {
        if (IsAlone)
        {
            return;
        }

        try
        {
            Tell(failure);
        }
        catch (Exception untold)
        {
            throw new AggregateException("This rank has failed, and the others could not be told.", failure, untold);
        }
    }

    private void Tell(Exception failure)
    {
        if (!_isMet)
        {
            _isMet = true;
            _ = Say(new Dictionary<string, string>(StringComparer.Ordinal) { [Fault] = failure.Message });
        }
        else if (_isTraining)
        {
            ranks!.Abort($"{failure.GetType().Name}: {failure.Message}");
        }
    }

    private Dictionary<string, string>?[] Say(Dictionary<string, string> what) =>
        [.. ranks!.Gather(JsonSerializer.SerializeToUtf8Bytes(what)).Select(said =>
            said.Length == 0 ? null : JsonSerializer.Deserialize<Dictionary<string, string>>(said))];
}
